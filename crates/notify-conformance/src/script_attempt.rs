//! One attempt of a scripted transport: its actions on the messages, and its end.

/// The script of one call of [`Transport::send`](notify_core::Transport::send).
///
/// # Examples
///
/// An attempt that accepts the first message of its batch, asks to retry the second, accepts the rest
/// and then fails:
///
/// ```
/// use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
///
/// let script = Script::default();
/// script.add_attempt(ScriptAttempt {
///     actions: vec![ScriptAction::Accept, ScriptAction::Retry],
///     end: ScriptEnd::Transient,
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ScriptAttempt {
    /// The actions on the first, second, … message of the batch. The transport accepts the messages
    /// beyond the list.
    pub actions: Vec<ScriptAction>,
    /// The end of the call.
    pub end: ScriptEnd,
}

/// An action of the transport on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptAction {
    /// Stores the message and settles it with [`Verdict::Accept`](notify_core::Verdict::Accept).
    Accept,
    /// Settles the message with [`Verdict::Retry`](notify_core::Verdict::Retry).
    Retry,
    /// Settles the message with [`Verdict::Refuse`](notify_core::Verdict::Refuse).
    Refuse,
    /// Neither stores nor settles the message.
    LeaveUnsettled,
    /// Stores the message without settling it, as when a confirm is lost.
    StoreUnsettled,
}

/// The end of a call of [`Transport::send`](notify_core::Transport::send).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptEnd {
    /// The call returns `Ok`.
    Ok,
    /// The call returns an error of the kind [`ErrorKind::Unavailable`](notify_core::ErrorKind::Unavailable).
    Transient,
    /// The call returns an error of the kind [`ErrorKind::Access`](notify_core::ErrorKind::Access).
    Permanent,
    /// The call never returns.
    Stall,
}
