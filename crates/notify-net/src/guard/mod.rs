//! The guard between the socket and a client library: no frame of a peer harms the process.
//!
//! The decoders of both client libraries recurse into nested values without a limit, so some kilobytes
//! from a peer could overflow the stack and end the process. A [`GuardedStream`] collects each frame,
//! walks it iteratively and passes it on only if its depth, its size and the number of its values stay
//! within limits:
//!
//! * [`amqp091`] walks the tables of AMQP 0-9-1: in `Connection.Start`, and in content headers.
//! * [`amqp10`] walks the performatives of AMQP 1.0, and messages across their frames.
//!
//! A guard for a sender ends the connection at the first harmful frame. A guard for a receiver drops
//! the harmful part of a message and marks the delivery, because the broker would deliver the same
//! message again after a reconnect.
//!
//! This module decodes no values and knows no client library.

pub mod amqp091;
pub mod amqp10;
pub(crate) mod frame_buffer;
mod stream;
mod value_scanner;

use std::sync::{Arc, OnceLock};

use notify_core::{Error, ErrorKind};

pub use stream::GuardedStream;

/// The facts that a guard learns and that the client library hides. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct GuardReport(Arc<Facts>);

/// The shared state of a [`GuardReport`].
#[derive(Debug, Default)]
struct Facts {
    /// The body of the peer's first frame.
    greeting: OnceLock<Vec<u8>>,
    /// The error of the frame that ended the connection.
    violation: OnceLock<Error>,
}

impl GuardReport {
    /// Returns the body of the peer's first frame, once it has arrived and passed the guard:
    /// `Connection.Start` of AMQP 0-9-1, `Open` of AMQP 1.0.
    pub fn greeting(&self) -> Option<&[u8]> {
        self.0.greeting.get().map(Vec::as_slice)
    }

    /// Returns the error of the frame at which the guard ended the connection.
    ///
    /// Prefer it to the client library's own error, which is a consequence.
    pub fn violation(&self) -> Option<Error> {
        self.0.violation.get().cloned()
    }

    /// Keeps the body of the first frame.
    fn record_greeting(&self, body: &[u8]) {
        let _ = self.0.greeting.get_or_init(|| body.to_vec());
    }

    /// Keeps the first violation.
    fn record_violation(&self, error: &Error) {
        let _ = self.0.violation.get_or_init(|| error.clone());
    }
}

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
    fn into_error(self, host: &str) -> Error {
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
