//! The one error type: what went wrong, what to change, and what became of the notification.
//!
//! It never carries the value of a payload field, nor a type of a broker's client.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::redact::printable::printable;

/// The result of anything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a notification, a configuration or a destination did not do what was asked.
///
/// `{}` prints the message alone, a lower-case fragment that names what to change; `{:#}` prints it
/// with every cause behind it. Text that came from outside is escaped, so both are safe to show on a
/// terminal.
#[derive(Clone)]
pub struct Error(Arc<ErrorData>);

#[derive(Clone)]
struct ErrorData {
    kind: ErrorKind,
    outcome: Outcome,
    message: Cow<'static, str>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work as it is written. Permanent.
    Config,
    /// The destination refuses us: credentials, rights, its certificate or ours. Permanent.
    Access,
    /// The destination cannot be reached, or cannot take anything now. Transient.
    Unavailable,
    /// Something did not answer within its deadline. Transient.
    Timeout,
    /// A queue, a disk or a destination is full. Transient.
    Full,
    /// The destination will never take this notification.
    Rejected,
    /// The notification is not well-formed, or not what its event type promises.
    Invalid,
    /// The notification is larger or deeper than the limits allow.
    TooLarge,
    /// The notifier is closed, or its worker is gone.
    Closed,
    /// A transport broke its contract. Please report it.
    Bug,
}

impl ErrorKind {
    /// What it means that an operation on a file failed.
    ///
    /// A full disk is [`Full`](Self::Full); a path that no waiting makes a file is
    /// [`Config`](Self::Config). Everything else may pass, also what is forbidden or read-only: an
    /// operator mends it while we retry.
    pub fn of_file(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => Self::Full,
            Io::IsADirectory | Io::NotADirectory | Io::InvalidFilename | Io::InvalidInput => {
                Self::Config
            }
            _ => Self::Unavailable,
        }
    }
}

/// What is known of the notification that an [`Error`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The destination does not have it.
    NotSent,
    /// It was sent and nothing is known since: the destination may have it.
    Unknown,
    /// The destination, or the encoder before it, will never take it.
    Rejected,
}

impl Error {
    /// An error of `kind`, with a lower-case `message` that says what to change.
    ///
    /// [`outcome`](Self::outcome) follows from the kind: `Rejected`, `Invalid` and `TooLarge` are
    /// [`Outcome::Rejected`], everything else is [`Outcome::NotSent`].
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let outcome = match kind {
            ErrorKind::Rejected | ErrorKind::Invalid | ErrorKind::TooLarge => Outcome::Rejected,
            _ => Outcome::NotSent,
        };
        Self(Arc::new(ErrorData { kind, outcome, message: message.into(), source: None }))
    }

    /// The same error with its cause, which `{:#}` prints and [`source`](std::error::Error::source)
    /// returns.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(source.into()));
        self
    }

    /// The same error about a notification of which `outcome` is known.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        if self.0.outcome != outcome {
            Arc::make_mut(&mut self.0).outcome = outcome;
        }
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is known of the notification.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether the same attempt may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Full)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever made the message should have escaped what came from outside; a path is easily forgotten.
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

/// Prints the message with every cause, as `{:#}` does: `main` returns errors by `Debug`.
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

/// How much of one cause is shown: brokers can send kilobytes.
const CAUSE_CHARS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_display_prints_the_causes() {
        let error = Error::new(ErrorKind::Unavailable, "cannot open `log.file`")
            .with_source(std::io::Error::other("no\u{1b}[31m space"));
        assert_eq!(error.to_string(), "cannot open `log.file`");
        assert_eq!(format!("{error:#}"), r"cannot open `log.file`: no\u{1b}[31m space");
        assert_eq!(format!("{error:?}"), format!("{error:#}"));
    }

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
