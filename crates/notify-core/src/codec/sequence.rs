//! The sequence of a message: its number within one lane of one run of its publisher.
//!
//! It travels beside the body, like the context. This module counts nothing: the queue does.

use std::sync::Arc;

use uuid::Uuid;

/// The number of a message in its lane, which lets a reader name the messages that it did not get.
///
/// A publisher numbers the messages of each destination and each of its lanes when it emits them: 1, 2, 3.
/// It starts anew under another random epoch whenever it starts, and after a fork. A message that the
/// queue drops, or that is refused, has taken its number along. Spools keep numbers.
/// [`Notifier::resend`](crate::Notifier::resend) gives none.
///
/// [`SequenceGaps`](crate::listener::SequenceGaps) names the missing numbers. Cloning is cheap.
///
/// # Examples
///
/// ```
/// use notify_core::codec::Sequence;
/// use uuid::Uuid;
///
/// let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 42);
/// assert_eq!((sequence.lane(), sequence.number()), ("notifications.info", 42));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence {
    run: Arc<LaneRun>,
    number: u64,
}

/// One lane of one run of a publisher.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LaneRun {
    epoch: Uuid,
    lane: Box<str>,
}

impl Sequence {
    /// Creates the sequence of a stored or received message.
    pub fn new(epoch: Uuid, lane: &str, number: u64) -> Self {
        Self::in_run(&Arc::new(LaneRun::new(epoch, lane)), number)
    }

    /// Creates the sequence of a message in a lane that has others.
    pub(crate) fn in_run(run: &Arc<LaneRun>, number: u64) -> Self {
        Self { run: Arc::clone(run), number }
    }

    /// Returns the random id of the publisher's run.
    pub fn epoch(&self) -> Uuid {
        self.run.epoch
    }

    /// Returns the name of the lane, such as `notifications.info`.
    pub fn lane(&self) -> &str {
        &self.run.lane
    }

    /// Returns the number within the lane, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the lane with its run.
    pub(crate) fn run(&self) -> &Arc<LaneRun> {
        &self.run
    }
}

impl LaneRun {
    /// Creates a lane of the run with this epoch.
    pub(crate) fn new(epoch: Uuid, lane: &str) -> Self {
        Self { epoch, lane: lane.into() }
    }

    /// Returns the random id of the publisher's run.
    pub(crate) fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// Returns the name of the lane.
    pub(crate) fn lane(&self) -> &str {
        &self.lane
    }
}

/// The sequence of a message, or the reason why it has none.
#[derive(Clone, Debug, Default)]
pub(crate) enum SequenceState {
    /// The message was emitted before, or by another program: it gets no number.
    #[default]
    None,
    /// The next queue numbers the message, if it numbers its lanes.
    Due,
    /// The message has its number.
    Numbered(Sequence),
}
