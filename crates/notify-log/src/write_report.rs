//! The report of one write, which every output returns to the transport.

use notify_core::Error;

/// The part of a batch that an output has written.
#[derive(Debug)]
pub(crate) struct WriteReport {
    /// The number of complete lines from the start of the batch; synced, if `log.sync` asks for it.
    pub(crate) complete_lines: usize,
    /// The error that stopped the output before the last line. `None` after a complete batch.
    pub(crate) error: Option<Error>,
}
