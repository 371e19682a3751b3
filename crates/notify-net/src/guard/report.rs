//! The facts that a guard learns about a peer.

use std::sync::{Arc, OnceLock};

use notify_core::Error;

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
    pub(crate) fn record_greeting(&self, body: &[u8]) {
        let _ = self.0.greeting.get_or_init(|| body.to_vec());
    }

    /// Keeps the first violation.
    pub(crate) fn record_violation(&self, error: &Error) {
        let _ = self.0.violation.get_or_init(|| error.clone());
    }
}
