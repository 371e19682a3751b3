//! What became of the notifications, and the copies of those in work: [`WorkLedger`].

use std::collections::{HashMap, HashSet};

use glance_notify::listen::{Delivery, SequenceGaps};

use super::notification_handler::JobOutcome;
use super::recent_ids::{ContentId, RecentIds};
use super::summary::ListenCounts;
use crate::terminal::print_warning;

/// What became of the notifications so far.
#[derive(Default)]
pub(super) struct WorkLedger {
    pub(super) counts: ListenCounts,
    /// The gaps in the numbers of the notifications, selected or not.
    pub(super) gaps: SequenceGaps,
    /// The notifications in work, each with its copies. Once the delivery in work is stale, a copy is the
    /// only way to get the notification again.
    in_work: HashMap<ContentId, Vec<Delivery>>,
    /// The notifications that are done.
    recent: RecentIds,
    /// `-n`: the number of notifications that may still be handed over.
    pub(super) left: Option<u64>,
    /// The notifications whose last attempt failed, up to [`MOST_FAILED`].
    pub(super) failed: HashSet<ContentId>,
    pub(super) last_failure: Option<String>,
}

impl WorkLedger {
    /// Returns a ledger for at most `left` notifications.
    pub(super) fn new(left: Option<u64>) -> Self {
        Self { left, ..Self::default() }
    }

    /// Returns the delivery if its notification is new. From then on it is in work, until
    /// [`record`](Self::record).
    ///
    /// Keeps the copy of a notification in work, and acknowledges the copy of one that is done.
    pub(super) fn begin(&mut self, id: ContentId, delivery: Delivery) -> Option<Delivery> {
        if let Some(copies) = self.in_work.get_mut(&id) {
            // Every session of a source may bring one. What the listener still holds is bounded.
            copies.retain(|copy| !copy.is_stale());
            copies.push(delivery);
        } else if self.recent.contains(&id) {
            self.counts.copies += 1;
            drop(delivery.ack());
        } else {
            self.in_work.insert(id, Vec::new());
            return Some(delivery);
        }
        None
    }

    /// Counts what became of work and settles the copies alike. A notification that failed may come again.
    pub(super) fn record(&mut self, outcome: JobOutcome) {
        let JobOutcome { ids, failure, is_suppressed } = outcome;
        let Some(reason) = failure else {
            let ListenCounts { done, suppressed, .. } = &mut self.counts;
            *(if is_suppressed { suppressed } else { done }) += ids.len() as u64;
            for id in ids {
                self.failed.remove(&id);
                self.recent.insert(id);
                for copy in self.in_work.remove(&id).into_iter().flatten() {
                    self.counts.copies += 1;
                    drop(copy.ack());
                }
            }
            return;
        };
        self.counts.failures += ids.len() as u64;
        self.left = self.left.map(|left| left + ids.len() as u64);
        for id in ids {
            for copy in self.in_work.remove(&id).into_iter().flatten() {
                drop(copy.fail(&reason));
            }
            if self.failed.len() < MOST_FAILED {
                self.failed.insert(id);
            }
        }
        if self.last_failure.as_ref() != Some(&reason) {
            print_warning(format_args!("{reason}"));
        }
        self.last_failure = Some(reason);
    }

    /// Gives back the copies of the notifications whose work did not end.
    pub(super) fn release_copies(&mut self) {
        for copy in self.in_work.drain().flat_map(|(_, copies)| copies) {
            drop(copy.release());
        }
    }
}

/// The most failed notifications in memory, about 3 MB. Dead letters are among them.
const MOST_FAILED: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glance_notify::listen::{DeadLetters, Listener};
    use notify_conformance::samples;
    use notify_conformance::source_script::{SourceFault, SourceScript};

    use super::*;

    fn outcome(id: ContentId, failure: Option<&str>) -> JobOutcome {
        JobOutcome { ids: vec![id], failure: failure.map(str::to_owned), is_suppressed: false }
    }

    fn id_of(delivery: &Delivery) -> ContentId {
        ContentId::of(delivery.message().unwrap().body())
    }

    /// Starts the work on the first notification of a script.
    async fn begin_first(script: &SourceScript) -> (Listener, WorkLedger, Delivery) {
        let mut listener =
            Listener::builder(script.source(), DeadLetters::Discard).start().unwrap();
        let mut ledger = WorkLedger::default();
        let first = listener.next_delivery().await.unwrap().unwrap();
        let first = ledger.begin(id_of(&first), first).unwrap();
        (listener, ledger, first)
    }

    /// A notification lacks its work until an attempt succeeds.
    #[test]
    fn a_failure_counts_until_an_attempt_succeeds() {
        let mut ledger = WorkLedger::default();
        let id = |number: u8| ContentId::of(&[number]);
        ledger.record(outcome(id(1), Some("exited with code 1")));
        ledger.record(outcome(id(2), None));
        assert_eq!(ledger.failed.len(), 1);
        ledger.record(outcome(id(1), None));
        assert!(ledger.failed.is_empty());
        assert_eq!((ledger.counts.done, ledger.counts.failures), (2, 1));
    }

    /// A copy of a notification in work fails with it and is acknowledged with it. The copies of earlier
    /// sessions take no memory.
    #[tokio::test]
    async fn copies_are_settled_as_the_work_is() {
        let script = SourceScript::default();
        script.publish(samples::messages(0..1));
        let (mut listener, mut ledger, first) = begin_first(&script).await;
        let id = id_of(&first);
        for _ in 0..3 {
            script.add_fault(SourceFault::FailReceive);
            let copy = listener.next_delivery().await.unwrap().unwrap();
            assert!(ledger.begin(id, copy).is_none());
            assert_eq!(ledger.in_work[&id].len(), 1);
        }
        assert!(first.is_stale());
        drop(first.fail("exited with code 1"));
        ledger.record(outcome(id, Some("exited with code 1")));

        let again = listener.next_delivery().await.unwrap().unwrap();
        assert_eq!(again.attempts(), 2);
        let again = ledger.begin(id, again).unwrap();
        script.publish(samples::messages(0..1));
        let copy = listener.next_delivery().await.unwrap().unwrap();
        assert!(ledger.begin(id, copy).is_none());
        assert_eq!((ledger.in_work[&id].len(), ledger.counts.copies), (1, 0));
        drop(again.ack());
        ledger.record(outcome(id, None));

        script.publish(samples::messages(0..1));
        let late = listener.next_delivery().await.unwrap().unwrap();
        assert!(ledger.begin(id, late).is_none());
        assert!(ledger.in_work.is_empty());
        let ListenCounts { done, failures, copies, .. } = ledger.counts;
        assert_eq!((done, failures, copies), (1, 1, 2));
        let counts = listener.close(Duration::from_secs(60)).await.total;
        assert_eq!((counts.received, counts.acked, counts.lost), (6, 3, 3));
        assert_eq!(script.unacked(), 0);
    }

    /// A publisher cannot hide a notification behind the id of another one, neither while that is in work nor
    /// later.
    #[tokio::test]
    async fn another_notification_with_the_same_id_is_no_copy() {
        let script = SourceScript::default();
        script.publish(samples::messages(0..1));
        let (mut listener, mut ledger, first) = begin_first(&script).await;
        let done = id_of(&first);
        for number in [1, 2] {
            let mut other = samples::notification(number);
            other.message_id = samples::notification(0).message_id;
            script.publish([samples::encode(&other)]);
            let other = listener.next_delivery().await.unwrap().unwrap();
            assert_eq!(other.message().unwrap().id(), first.message().unwrap().id());
            let other = ledger.begin(id_of(&other), other).unwrap();
            drop(other.ack());
            // The next one comes after the first one is done.
            ledger.record(outcome(done, None));
        }
        assert_eq!(ledger.counts.copies, 0);
    }

    /// At the end, the copies of notifications still in work go back to their source.
    #[tokio::test]
    async fn copies_of_unfinished_work_are_given_back() {
        let script = SourceScript::default();
        script.publish(samples::messages(0..1).into_iter().chain(samples::messages(0..1)));
        let (mut listener, mut ledger, first) = begin_first(&script).await;
        let id = id_of(&first);
        let copy = listener.next_delivery().await.unwrap().unwrap();
        assert!(ledger.begin(id, copy).is_none());
        drop(first);
        ledger.release_copies();
        let counts = listener.close(Duration::from_secs(60)).await.total;
        assert_eq!((counts.acked, counts.held), (0, 0));
        assert_eq!(script.unacked(), 2);
    }
}
