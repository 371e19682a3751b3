//! The result of a command: its exit code, and the error that ends it early.
//!
//! Scripts depend on these exit codes: they never change their meaning. The distinction
//! that matters to a script is between 2 and 3: after 3 it may run the command again, and
//! after 2 that is of no use until an operator has changed something.

use std::process::ExitCode;

use glance_notify::Error;

/// The meaning of the exit code, the same for every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Code 0: the command did everything that you asked for.
    Success,
    /// Code 1: a question to notifications has no answer.
    NothingFound,
    /// Code 2: the usage, the configuration or the destination needs a change.
    PermanentError,
    /// Code 3: some notifications were not delivered, or the destination is
    /// unreachable at the moment. Running the command again may help.
    NotDelivered,
    /// Code 4: the input is invalid.
    InvalidInput,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Success => 0,
            ExitStatus::NothingFound => 1,
            ExitStatus::PermanentError => 2,
            ExitStatus::NotDelivered => 3,
            ExitStatus::InvalidInput => 4,
        })
    }
}

/// An error that ends the command: the exit status, and the message for the user.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The status with which the command exits.
    pub(crate) status: ExitStatus,
    /// The message. The code that builds it escapes text from outside.
    pub(crate) message: String,
}

impl CommandError {
    /// Creates an error with a message of the command's own.
    pub(crate) fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// Maps a transient error of the library to code 3 and any other to code 2.
impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let status = if error.is_transient() {
            ExitStatus::NotDelivered
        } else {
            ExitStatus::PermanentError
        };
        Self { status, message: format!("{error:#}") }
    }
}
