//! The exit codes of every subcommand, and the error that ends a subcommand early.
//!
//! One table serves all subcommands: [`ExitStatus::ALL`]. The help texts, the man pages and
//! `docs/exit-codes.md` show it, and a test holds each subcommand to it. Scripts depend on these codes:
//! they never change their meaning.
//!
//! | you see | choose |
//! |---|---|
//! | the command did everything, or there was nothing to do, or the reader of its output has seen enough | [`Success`](ExitStatus::Success) |
//! | a question has the answer "none" | [`NothingFound`](ExitStatus::NothingFound) |
//! | a file, an option, a key, a permission or the destination's settings need a change | [`PermanentError`](ExitStatus::PermanentError) |
//! | something is unreachable, busy, full or unfinished at the moment | [`NotDelivered`](ExitStatus::NotDelivered) |
//! | the input is no notification | [`InvalidInput`](ExitStatus::InvalidInput) |

use std::io;
use std::process::ExitCode;

use glance_notify::Error;

/// The meaning of the exit code, the same for every subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Code 0: the command did everything that you asked for.
    Success,
    /// Code 1: a question to notifications has no answer.
    NothingFound,
    /// Code 2: you have to change something before another run helps.
    PermanentError,
    /// Code 3: something is not finished, and running the command again may help.
    NotDelivered,
    /// Code 4: the input is invalid.
    InvalidInput,
}

impl ExitStatus {
    /// All statuses in the order of their codes.
    pub(crate) const ALL: [Self; 5] = [
        Self::Success,
        Self::NothingFound,
        Self::PermanentError,
        Self::NotDelivered,
        Self::InvalidInput,
    ];

    /// Returns the exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NothingFound => 1,
            Self::PermanentError => 2,
            Self::NotDelivered => 3,
            Self::InvalidInput => 4,
        }
    }

    /// Returns the meaning as one line of the help texts.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "success, also if there was nothing to do",
            Self::NothingFound => "a question to notifications found none",
            Self::PermanentError => {
                "you have to change something: the usage, the configuration, a file, a permission, the \
                 destination"
            }
            Self::NotDelivered => {
                "not everything was delivered or read, or something is unreachable, busy or full: run \
                 the command again later"
            }
            Self::InvalidInput => "the input is invalid",
        }
    }

    /// Returns the table of all codes, as help texts show it.
    pub(crate) fn help() -> String {
        let lines = Self::ALL.map(|status| format!("  {}  {}", status.code(), status.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// An error that ends the command: the exit status, and the message for the user.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The status with which the command exits.
    pub(crate) status: ExitStatus,
    /// The message. It says what to do, and the code that builds it escapes text from outside.
    pub(crate) message: String,
}

impl CommandError {
    /// Creates an error with a message of the command's own.
    pub(crate) fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Creates the error of a file or directory that cannot be used.
    ///
    /// `action` is a phrase such as "cannot read `in.jsonl`", with the name escaped already. The message
    /// adds the operating system's reason and what you can do about it.
    pub(crate) fn file(action: &str, error: &io::Error) -> Self {
        let status = match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ExitStatus::NotDelivered,
            _ => ExitStatus::PermanentError,
        };
        let reason = error.to_string();
        // The number of the error helps no reader.
        let reason = reason.split(" (os error").next().unwrap_or_default();
        let advice = Error::file_advice(error).map(|advice| format!(": {advice}"));
        Self::new(status, format!("{action}: {reason}{}", advice.unwrap_or_default()))
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

#[cfg(test)]
mod tests {
    use glance_notify::ErrorKind;

    use super::*;

    /// The help names every code once, in order, so that a reader can trust the table.
    #[test]
    fn the_help_lists_every_code() {
        let help = ExitStatus::help();
        let codes: Vec<_> =
            help.lines().skip(1).map(|line| line.trim().split(' ').next().unwrap()).collect();
        assert_eq!(codes, ["0", "1", "2", "3", "4"]);
        assert_eq!(ExitStatus::ALL.map(ExitStatus::code), [0, 1, 2, 3, 4]);
    }

    /// A missing file or permission needs an operator; a refused connection or a full disk may end.
    #[test]
    fn a_missing_file_or_permission_is_permanent() {
        for (kind, status) in [
            (io::ErrorKind::NotFound, ExitStatus::PermanentError),
            (io::ErrorKind::PermissionDenied, ExitStatus::PermanentError),
            (io::ErrorKind::ConnectionRefused, ExitStatus::NotDelivered),
            (io::ErrorKind::StorageFull, ExitStatus::NotDelivered),
        ] {
            let error = Error::new(ErrorKind::of_file(&kind.into()), "x");
            assert_eq!(CommandError::from(error).status, status, "{kind:?}");
            let file = CommandError::file("cannot read `x`", &kind.into());
            assert!(file.message.starts_with("cannot read `x`: "), "{}", file.message);
        }
    }
}
