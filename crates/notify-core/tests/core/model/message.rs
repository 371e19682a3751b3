//! A notification in the model: its outcome, and the facts that lead to it.

use notify_core::{ErrorKind, Outcome, Result};

use super::steps::SampleKind;

/// A notification in the model.
#[derive(Clone, Debug)]
pub(crate) struct ModelMessage {
    pub(super) kind: SampleKind,
    pub(super) history: SendHistory,
    /// `None` while the message is pending, or its caller waits for room.
    pub(super) outcome: Option<ModelOutcome>,
    /// Whether the message was in a batch before.
    pub(super) was_sent: bool,
    /// The hour in which it entered the queue.
    pub(super) hour: u32,
    /// Whether the current attempt asked to retry it.
    pub(super) retry: bool,
    /// Whether the current attempt stored it without settling it.
    pub(super) stored_unsettled: bool,
}

impl ModelMessage {
    /// Returns a message that enters the queue in this hour.
    pub(super) fn new(kind: SampleKind, hour: u32) -> Self {
        Self {
            kind,
            history: SendHistory::NeverSent,
            outcome: None,
            was_sent: false,
            hour,
            retry: false,
            stored_unsettled: false,
        }
    }

    /// Returns whether the receipt of this message may resolve to `result`.
    pub(super) fn allows(&self, result: &Result<()>) -> bool {
        let Some(outcome) = self.outcome else {
            return matches!(result, Err(error) if error.outcome() == Outcome::Unknown
                && error.kind() == ErrorKind::Timeout);
        };
        let kind = match (outcome, result) {
            (ModelOutcome::Delivered | ModelOutcome::Suppressed, result) => {
                return result.is_ok();
            }
            (_, Ok(())) => return false,
            (ModelOutcome::Refused, Err(error)) => return error.outcome() == Outcome::Rejected,
            (ModelOutcome::Overflow, _) => ErrorKind::Full,
            (ModelOutcome::Expired, _) => ErrorKind::Timeout,
            (ModelOutcome::Closed | ModelOutcome::Abandoned, _) => ErrorKind::Closed,
        };
        let outcomes: &[Outcome] = match self.history {
            SendHistory::NeverSent => &[Outcome::NotSent],
            SendHistory::Declined => &[Outcome::NotSent, Outcome::Unknown],
            SendHistory::Uncertain => &[Outcome::Unknown],
        };
        result
            .as_ref()
            .is_err_and(|error| error.kind() == kind && outcomes.contains(&error.outcome()))
    }
}

/// The facts about earlier attempts that decide between `NotSent` and `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SendHistory {
    /// No attempt had the message.
    NeverSent,
    /// Every attempt reported that the destination declined it.
    Declined,
    /// Some attempt left it unsettled.
    Uncertain,
}

/// The final outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelOutcome {
    /// The destination accepted it.
    Delivered,
    /// Encoding failed, or the destination refused it.
    Refused,
    /// Its type is disabled.
    Suppressed,
    /// The queue was full.
    Overflow,
    /// It grew older than `max_age`.
    Expired,
    /// It came after the close.
    Closed,
    /// It was pending when the worker ended.
    Abandoned,
}
