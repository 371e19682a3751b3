//! The findings of [`Transport::check`](super::Transport::check), for `glance-notify check`.

use crate::error::Error;

/// One thing that [`Transport::check`](super::Transport::check) inspected, and its condition.
///
/// # Examples
///
/// ```
/// use notify_core::transport::Finding;
/// use notify_core::{Error, ErrorKind};
///
/// let findings = [
///     Finding::good("broker", "RabbitMQ 4.1.0, TLS 1.3"),
///     Finding::warning("queue notifications.info", "not durable: a restart loses its messages"),
///     Finding::bad(
///         "queue notifications.error",
///         Error::new(ErrorKind::Access, "permission denied: grant `configure` on `notifications.*`"),
///     ),
/// ];
/// assert_eq!(findings[0].subject, "broker");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The thing inspected: `file`, `broker`, `queue notifications.info`.
    pub subject: String,
    /// The condition that it is in.
    pub state: FindingState,
}

/// The condition of the subject of a [`Finding`].
#[derive(Clone, Debug)]
pub enum FindingState {
    /// The subject is as it should be. The text describes it: a version, a path, a mode.
    Good(String),
    /// The subject works, at a cost that the text names.
    Warning(String),
    /// The subject does not work. The error says what to change.
    Bad(Error),
}

impl Finding {
    /// Creates a finding about a subject that is as it should be.
    ///
    /// `description` goes to the operator's terminal: escape what a peer sent with
    /// [`printable`](crate::redact::printable).
    pub fn good(subject: impl Into<String>, description: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Good(description.into()) }
    }

    /// Creates a finding about a subject that works, at the cost that `cost` names.
    pub fn warning(subject: impl Into<String>, cost: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: FindingState::Warning(cost.into()) }
    }

    /// Creates a finding about a subject that does not work because of `error`.
    pub fn bad(subject: impl Into<String>, error: Error) -> Self {
        Self { subject: subject.into(), state: FindingState::Bad(error) }
    }
}
