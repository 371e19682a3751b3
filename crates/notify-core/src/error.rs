//! The one error type of the workspace: [`Error`], with its [`ErrorKind`] and the [`Outcome`] of the
//! notification.
//!
//! An error says what failed and what you can change. It never holds the value of a payload field, a
//! credential, or a type of a broker's client library.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::redact::printable::printable;

/// The result of every fallible operation in this workspace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a notification, a configuration or a destination.
///
/// `{}` prints the message alone: a lower-case fragment that names what to change. `{:#}` appends
/// every cause, separated by colons. `Debug` prints the same as `{:#}`, so `main` can return this
/// error. All of them escape text from outside, so you can print an error on a terminal.
///
/// Cloning is cheap: the clones share one allocation.
///
/// # Examples
///
/// ```
/// use notify_core::{Error, ErrorKind, Outcome};
///
/// let error = Error::new(ErrorKind::Unavailable, "cannot connect to mq1:5672")
///     .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
///
/// assert_eq!(error.to_string(), "cannot connect to mq1:5672");
/// assert_eq!(format!("{error:#}"), "cannot connect to mq1:5672: connection refused");
/// assert_eq!(error.outcome(), Outcome::NotSent);
/// assert!(error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error(Arc<ErrorData>);

/// The contents of an [`Error`], behind one pointer so that a `Result` stays small.
#[derive(Clone)]
struct ErrorData {
    kind: ErrorKind,
    outcome: Outcome,
    message: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The kind of an [`Error`].
///
/// `Unavailable`, `Timeout` and `Full` are transient: the worker retries them with a growing backoff.
/// All other kinds are permanent: only a change of the configuration, of credentials or of the
/// destination helps, and the worker retries every 30 s.
///
/// # Examples
///
/// ```
/// use notify_core::{Error, ErrorKind};
///
/// /// Returns the exit code of a command that failed.
/// fn exit_code(error: &Error) -> u8 {
///     match error.kind() {
///         ErrorKind::Config => 2,
///         ErrorKind::Invalid | ErrorKind::TooLarge => 4,
///         _ => 1,
///     }
/// }
/// assert_eq!(exit_code(&Error::new(ErrorKind::Config, "`strategy` is empty")), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work as written: an unknown option, a wrong value, a missing file.
    /// Permanent.
    Config,
    /// The destination denied access: authentication failed, permission denied, certificate
    /// rejected. Permanent.
    Access,
    /// The destination is unreachable or cannot take messages now: connection refused, node down,
    /// heartbeats missed. Transient.
    Unavailable,
    /// A deadline passed without an answer, while the connection stands. Transient.
    Timeout,
    /// A queue, a disk or a destination is full. Transient.
    Full,
    /// The destination will never take this notification. Permanent.
    Rejected,
    /// The notification is malformed, or does not match its event type. Permanent.
    Invalid,
    /// The notification exceeds a limit of size, depth or number of keys. Permanent.
    TooLarge,
    /// The notifier is closed, or its worker has ended. Permanent.
    Closed,
    /// A transport broke its contract. Please report it. Permanent.
    Bug,
}

impl ErrorKind {
    /// Returns the kind of a failed file operation.
    ///
    /// | failure | kind |
    /// |---|---|
    /// | full disk, exhausted quota, limit of file sizes | [`Full`](Self::Full) |
    /// | permission denied, read-only file system | [`Access`](Self::Access) |
    /// | missing file or directory, a directory in place of a file | [`Config`](Self::Config) |
    /// | any other | [`Unavailable`](Self::Unavailable) |
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use notify_core::ErrorKind;
    ///
    /// let full = io::Error::from(io::ErrorKind::StorageFull);
    /// let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    /// assert_eq!(ErrorKind::of_file(&full), ErrorKind::Full);
    /// assert_eq!(ErrorKind::of_file(&denied), ErrorKind::Access);
    /// ```
    pub fn of_file(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Self::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => Self::Access,
            Io::NotFound
            | Io::IsADirectory
            | Io::NotADirectory
            | Io::InvalidFilename
            | Io::InvalidInput => Self::Config,
            _ => Self::Unavailable,
        }
    }
}

/// The state of the notification that an [`Error`] is about.
///
/// A receipt that resolves to an error carries one of these. Send a notification again if it is
/// `NotSent`. Send it again with the same `message_id` if it is `Unknown`, so that consumers can drop
/// the duplicate. Fix it first if it is `Rejected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The destination does not have the notification.
    NotSent,
    /// A transport sent the notification, and the answer is unknown. The destination may have it.
    Unknown,
    /// Encoding failed, or the destination rejected the notification for good.
    Rejected,
}

impl Error {
    /// Creates an error of `kind` with a lower-case `message` that says what to change.
    ///
    /// The kind determines the [`outcome`](Self::outcome): `Rejected`, `Invalid` and `TooLarge` give
    /// [`Outcome::Rejected`], every other kind gives [`Outcome::NotSent`]. Change it with
    /// [`with_outcome`](Self::with_outcome).
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let outcome = match kind {
            ErrorKind::Rejected | ErrorKind::Invalid | ErrorKind::TooLarge => Outcome::Rejected,
            _ => Outcome::NotSent,
        };
        Self(Arc::new(ErrorData { kind, outcome, message: message.into(), source: None }))
    }

    /// Creates the error of a failed file operation, with the failure as its cause.
    ///
    /// Its kind is that of [`ErrorKind::of_file`], and the message ends with what to change.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    ///
    /// use notify_core::{Error, ErrorKind};
    ///
    /// let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    /// let error = Error::of_file("`log.file`: n.log cannot be opened", denied);
    /// assert_eq!(error.kind(), ErrorKind::Access);
    /// assert_eq!(
    ///     format!("{error:#}"),
    ///     "`log.file`: n.log cannot be opened (give your user the permission, or run it as another \
    ///      user): permission denied",
    /// );
    /// ```
    pub fn of_file(message: impl fmt::Display, error: io::Error) -> Self {
        let message = match Self::file_advice(&error) {
            Some(advice) => format!("{message} ({advice})"),
            None => message.to_string(),
        };
        Self::new(ErrorKind::of_file(&error), message).with_source(error)
    }

    /// Returns what to change after a failed file operation, as a clause, or `None` for a rare failure.
    pub fn file_advice(error: &io::Error) -> Option<&'static str> {
        use io::ErrorKind as Io;
        Some(match error.kind() {
            Io::NotFound => "check the path",
            Io::PermissionDenied => "give your user the permission, or run it as another user",
            Io::AlreadyExists => "name another path",
            Io::IsADirectory => "name a file",
            Io::NotADirectory => "check the path, a part of it is a file",
            Io::StorageFull | Io::QuotaExceeded => "make room on the disk",
            Io::FileTooLarge => "raise the limit of file sizes (ulimit -f, LimitFSIZE)",
            Io::ReadOnlyFilesystem => "name a path on another file system",
            _ => return None,
        })
    }

    /// Returns the same error with `source` as its cause, in place of any earlier cause.
    ///
    /// `{:#}` prints the cause, and [`source`](std::error::Error::source) returns it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the same error with another `outcome` of its notification.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::{Error, ErrorKind, Outcome};
    ///
    /// // The bytes are on their way, but the confirm did not arrive.
    /// let error = Error::new(ErrorKind::Timeout, "no confirm within 30 s")
    ///     .with_outcome(Outcome::Unknown);
    /// assert_eq!(error.outcome(), Outcome::Unknown);
    /// ```
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        if self.0.outcome != outcome {
            Arc::make_mut(&mut self.0).outcome = outcome;
        }
        self
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the outcome of the notification that failed.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Returns `true` if the same attempt may succeed later without a change by an operator.
    ///
    /// This holds for the kinds `Unavailable`, `Timeout` and `Full`.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Full)
    }
}

/// Prints the message; with `#`, the causes too.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The author of the message should have escaped text from outside, but a path is easy to miss.
        printable(&self.0.message, usize::MAX).fmt(f)?;
        if f.alternate() {
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                write!(f, ": {}", printable(&error.to_string(), CAUSE_CHARS))?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

/// Prints the message with every cause, as `{:#}` does: `main` prints an error with `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The longest cause that an error prints, in characters. A broker can send kilobytes.
const CAUSE_CHARS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    /// `{}` stays short, `{:#}` and `Debug` explain, and no control character of a cause gets out.
    #[test]
    fn alternate_display_prints_the_causes() {
        let error = Error::new(ErrorKind::Unavailable, "cannot open `log.file`")
            .with_source(std::io::Error::other("no\u{1b}[31m space"));
        assert_eq!(error.to_string(), "cannot open `log.file`");
        assert_eq!(format!("{error:#}"), r"cannot open `log.file`: no\u{1b}[31m space");
        assert_eq!(format!("{error:?}"), format!("{error:#}"));
    }

    /// `with_outcome` changes one clone, not the others.
    #[test]
    fn outcome_follows_the_kind_unless_overridden() {
        let error = Error::new(ErrorKind::Timeout, "no confirm within 30 s");
        assert_eq!(error.outcome(), Outcome::NotSent);
        let sent = error.clone().with_outcome(Outcome::Unknown);
        assert_eq!(sent.outcome(), Outcome::Unknown);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(sent.is_transient());
    }
}
