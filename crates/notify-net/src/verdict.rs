//! The verdict about a message, by the meaning of the broker's answer.
//!
//! This is the one table for both AMQP crates. Each crate only decides the [`BrokerAnswer`] of an answer:
//!
//! | meaning | verdict |
//! |---|---|
//! | taken | Accept |
//! | full or busy | Retry |
//! | queue unavailable | Retry, that lane only |
//! | unroutable | Retry; Refuse after `refuse_unroutable_after` |
//! | rejected without a known condition | Retry; Refuse after `refuse_unroutable_after` |
//! | invalid | Refuse |
//!
//! A lost connection has no row: it proves nothing about a message, so the attempt fails and leaves the
//! message unsettled. A new connection starts `refuse_unroutable_after` anew. `docs/reliability.md` has the
//! same table with the answers of each protocol.

use std::collections::HashMap;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Outcome, Verdict};
use tokio::time::Instant;
use uuid::Uuid;

/// The meaning of a broker's answer for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerAnswer {
    /// The broker took responsibility: confirmed and routed, or `accepted`.
    Taken,
    /// The broker cannot take the message now: its queue is full, or it has no majority.
    Busy,
    /// The queue of the message is out of service, and other queues are not.
    QueueUnavailable,
    /// No queue gets the message: a node or a binding is missing.
    Unroutable,
    /// The broker rejected the message, for a reason that says nothing about a next attempt.
    Rejected,
    /// The broker will never take this message: it is too large, malformed or not permitted.
    Invalid,
}

impl BrokerAnswer {
    /// Every meaning, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Taken,
        Self::Busy,
        Self::QueueUnavailable,
        Self::Unroutable,
        Self::Rejected,
        Self::Invalid,
    ];

    /// Returns the first two columns of the table: the meaning and the verdict.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::BrokerAnswer;
    ///
    /// assert_eq!(BrokerAnswer::Busy.row(), ["full or busy", "Retry"]);
    /// ```
    pub fn row(self) -> [&'static str; 2] {
        match self {
            Self::Taken => ["taken", "Accept"],
            Self::Busy => ["full or busy", "Retry"],
            Self::QueueUnavailable => ["queue unavailable", "Retry, that lane only"],
            Self::Unroutable => ["unroutable", "Retry; Refuse after `refuse_unroutable_after`"],
            Self::Rejected => [
                "rejected without a known condition",
                "Retry; Refuse after `refuse_unroutable_after`",
            ],
            Self::Invalid => ["invalid", "Refuse"],
        }
    }

    /// Returns whether the verdict becomes [`Verdict::Refuse`] in the course of time.
    fn is_refused_in_time(self) -> bool {
        matches!(self, Self::Unroutable | Self::Rejected)
    }
}

/// The judge of all messages of one transport. It remembers since when a message has been unroutable
/// or rejected.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_core::{Error, ErrorKind, Verdict};
/// use notify_net::{Judge, BrokerAnswer};
///
/// let mut judge = Judge::new(Duration::ZERO);
/// let id = uuid::Uuid::nil();
/// let error = || Error::new(ErrorKind::Rejected, "unroutable: no queue");
/// assert!(matches!(judge.verdict(id, BrokerAnswer::Busy, error), Verdict::Retry(_)));
/// assert!(matches!(judge.verdict(id, BrokerAnswer::Unroutable, error), Verdict::Refuse(_)));
/// ```
#[derive(Debug)]
pub struct Judge {
    refuse_after: Duration,
    /// The times of the first answers that led to no delivery, by message id.
    since: HashMap<Uuid, Instant>,
}

impl Judge {
    /// Creates a judge that refuses a message after it has been unroutable, or rejected without a known
    /// condition, for `refuse_after`.
    pub fn new(refuse_after: Duration) -> Self {
        Self { refuse_after, since: HashMap::new() }
    }

    /// Forgets since when messages have been unroutable or rejected. Call it at each new connection: the time
    /// for which the broker was away proves nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut judge = notify_net::Judge::new(std::time::Duration::from_secs(60));
    /// judge.forget_times();
    /// ```
    pub fn forget_times(&mut self) {
        self.since.clear();
    }

    /// Returns the verdict about the message `id`. Calls `error` for the reason, unless the message is
    /// taken.
    ///
    /// The outcome of a message whose queue is unavailable is that of the error: the queue may have
    /// failed before or after it took the message.
    pub fn verdict(
        &mut self,
        id: Uuid,
        meaning: BrokerAnswer,
        error: impl FnOnce() -> Error,
    ) -> Verdict {
        if meaning.is_refused_in_time() {
            if self.since.len() >= MAX_REMEMBERED {
                // Most of these ids belong to messages that the notifier dropped. Forgetting one of the
                // others lets it wait longer.
                self.since.clear();
            }
            let since = *self.since.entry(id).or_insert_with(Instant::now);
            if since.elapsed() < self.refuse_after {
                return Verdict::Retry(error().with_outcome(Outcome::NotSent));
            }
        }
        if !self.since.is_empty() {
            self.since.remove(&id);
        }
        match meaning {
            BrokerAnswer::Taken => Verdict::Accept,
            BrokerAnswer::Busy => Verdict::Retry(error().with_outcome(Outcome::NotSent)),
            BrokerAnswer::QueueUnavailable => Verdict::Retry(error()),
            BrokerAnswer::Unroutable | BrokerAnswer::Rejected | BrokerAnswer::Invalid => {
                Verdict::Refuse(error().with_outcome(Outcome::Rejected))
            }
        }
    }

    /// Returns the error of a message that is `size` bytes with its envelope, of which `host` accepts
    /// `limit`.
    pub fn too_large(host: &impl std::fmt::Display, limit: u64) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("message too large: {host} accepts at most {limit} bytes"),
        )
    }
}

/// The most remembered messages: more than a worker holds at a time.
const MAX_REMEMBERED: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns any reason.
    fn error() -> Error {
        Error::new(ErrorKind::Rejected, "rejected")
    }

    /// Returns the first word of the verdict in the table.
    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Accept => "Accept",
            Verdict::Retry(_) => "Retry",
            Verdict::Refuse(_) => "Refuse",
        }
    }

    /// Each meaning has the verdict of its row, before and after the time to refuse.
    #[tokio::test(start_paused = true)]
    async fn each_meaning_has_the_verdict_of_its_row() {
        for meaning in BrokerAnswer::ALL {
            let mut judge = Judge::new(Duration::from_secs(60));
            let id = Uuid::from_u128(7);
            let [_, rule] = meaning.row();
            let first = judge.verdict(id, meaning, error);
            assert!(rule.starts_with(word(&first)), "{meaning:?}: {first:?}");
            tokio::time::advance(Duration::from_secs(59)).await;
            assert_eq!(word(&judge.verdict(id, meaning, error)), word(&first));
            tokio::time::advance(Duration::from_secs(1)).await;
            let last = word(&judge.verdict(id, meaning, error));
            let expected = if rule.contains("; Refuse") { "Refuse" } else { word(&first) };
            assert_eq!(last, expected, "{meaning:?}");
        }
    }

    /// A message that was routed in between has its whole time again.
    #[tokio::test(start_paused = true)]
    async fn a_routed_message_has_its_whole_time_again() {
        let mut judge = Judge::new(Duration::from_secs(60));
        let id = Uuid::from_u128(7);
        judge.verdict(id, BrokerAnswer::Unroutable, error);
        tokio::time::advance(Duration::from_secs(100)).await;
        judge.verdict(id, BrokerAnswer::Busy, error);
        assert_eq!(word(&judge.verdict(id, BrokerAnswer::Unroutable, error)), "Retry");
    }

    /// The time for which the broker was away does not count.
    #[tokio::test(start_paused = true)]
    async fn a_new_connection_gives_a_message_its_whole_time_again() {
        let mut judge = Judge::new(Duration::from_secs(60));
        let answer = |judge: &mut Judge| {
            word(&judge.verdict(Uuid::from_u128(7), BrokerAnswer::Unroutable, error))
        };
        assert_eq!(answer(&mut judge), "Retry");
        tokio::time::advance(Duration::from_secs(300)).await;
        judge.forget_times();
        assert_eq!(answer(&mut judge), "Retry");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(answer(&mut judge), "Retry");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(answer(&mut judge), "Refuse");
    }
}
