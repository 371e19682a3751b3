//! The rules of a protocol, and the limits that all protocols share.

use notify_core::{Error, ErrorKind};

use crate::guard::report::GuardReport;

/// The reason why a frame does not pass. The text completes a sentence that the host begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The peer speaks another protocol. Only a change of the configuration helps.
    Protocol(&'static str),
    /// The peer sends frames that no broker sends. A reconnect may help.
    Frame(&'static str),
}

impl Violation {
    /// Converts the violation into the error of a connection to `host`.
    pub(crate) fn into_error(self, host: &str) -> Error {
        match self {
            Self::Protocol(problem) => Error::new(ErrorKind::Config, format!("{host} {problem}")),
            Self::Frame(problem) => Error::new(ErrorKind::Unavailable, format!("{host} {problem}")),
        }
    }
}

/// The rules of one protocol: how to cut the received bytes into frames, and which frames may pass.
pub trait FrameRules: std::fmt::Debug + Send + Unpin {
    /// Returns the length in bytes of the frame that `bytes` begins with, or `None` if its header is
    /// not complete.
    ///
    /// # Errors
    ///
    /// A violation if the bytes do not begin a frame, or announce one that is too large.
    fn frame_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation>;

    /// Checks one whole frame.
    ///
    /// # Errors
    ///
    /// A violation if the client library must not see the frame.
    fn check(&mut self, frame: &[u8], report: &GuardReport) -> Result<Passage, Violation>;
}

/// The decision about one frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Passage {
    /// The frame passes unchanged.
    Unchanged,
    /// This frame passes in its place. An empty one drops it.
    Replaced(Vec<u8>),
}

/// The most levels of nesting in one frame or message.
pub const MAX_DEPTH: usize = 32;
/// The most values in one frame or message. A broker's greeting has about fifty.
pub const MAX_VALUES: usize = 4096;
