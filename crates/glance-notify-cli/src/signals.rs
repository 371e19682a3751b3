//! Ctrl-C and SIGTERM, for commands that stop in an orderly way.
//!
//! A command that listens here drains instead of dying: it waits for the pending messages
//! or drops them, writes its files, and prints its summary. The exit code then says
//! whether anything was lost, as after any other end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit_status::{CommandError, ExitStatus};

/// The signals that ask the command to stop.
pub(crate) struct StopSignals {
    /// SIGINT, which Ctrl-C sends.
    interrupt: Signal,
    /// SIGTERM, which service managers send.
    terminate: Signal,
}

impl StopSignals {
    /// Starts to listen. From now on, SIGINT and SIGTERM no longer end the process.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system refuses the handlers.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                CommandError::new(
                    ExitStatus::PermanentError,
                    format!("cannot listen for SIGINT and SIGTERM: {error}"),
                )
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no signal: the next call returns it.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
