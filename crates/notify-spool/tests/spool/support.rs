//! Helpers that the tests of the spool share.

use std::path::Path;
use std::time::Duration;

use notify_conformance::script::Script;
use notify_core::pipeline::{Receipt, Stats};
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Notifier, Transport as _, Verdict, Worker};
use notify_spool::{Config, Spool};
use tokio::task::JoinHandle;

/// A notifier with a spool in front of a script, and its running worker.
pub(crate) struct RunningNotifier {
    pub(crate) notifier: Notifier,
    pub(crate) worker: JoinHandle<Stats>,
}

/// Builds a notifier with a spool in front of `script`, and starts its worker.
pub(crate) fn start(config: Config, script: &Script) -> RunningNotifier {
    let (notifier, worker) = build(config, script);
    RunningNotifier { notifier, worker: tokio::spawn(worker.run()) }
}

/// Builds a notifier with a spool in front of `script`.
pub(crate) fn build(config: Config, script: &Script) -> (Notifier, Worker) {
    let (spool, forwarder) = Spool::open(config, script.transport()).unwrap();
    let builder = Notifier::builder(spool).publisher_id("host1");
    builder.behind(forwarder).build().unwrap()
}

impl RunningNotifier {
    /// Emits `messages` and waits until the disk has all of them.
    pub(crate) async fn store(&self, messages: &[Message]) {
        let mut receipts: Vec<Receipt> = Vec::new();
        for message in messages {
            receipts.push(self.notifier.relay(message.clone()).await);
        }
        for receipt in receipts {
            within("a receipt", receipt).await.expect("the spool must store the message");
        }
    }

    /// Returns the account of the second stage.
    pub(crate) fn forwarded(&self) -> Stats {
        let [_, (_, stats)] = self.notifier.stages().try_into().expect("two stages");
        stats
    }

    /// Shuts down, checks that both accounts balance, and returns the account of the second stage.
    pub(crate) async fn stop(self) -> Stats {
        self.notifier.shutdown(Duration::from_secs(10)).await;
        within("the worker", self.worker).await.unwrap();
        let [(_, own), (_, stats)] = self.notifier.stages().try_into().expect("two stages");
        assert_balanced(&own);
        assert_balanced(&stats);
        stats
    }
}

/// Checks that `emitted = delivered + refused + dropped + pending`.
pub(crate) fn assert_balanced(stats: &Stats) {
    let Stats { emitted, delivered, refused, dropped, pending, .. } = stats;
    assert_eq!(*emitted, delivered + refused + dropped.total() + pending.messages, "{stats:?}");
}

/// Waits until `condition` holds, at most a minute.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits for `future`, at most a minute.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(output) => output,
        Err(_) => panic!("timed out after a minute: {what}"),
    }
}

/// Returns the bodies of `messages` as text.
pub(crate) fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.body().to_vec()).unwrap()).collect()
}

/// Returns the pending messages of all slots in a directory that no process uses.
pub(crate) fn pending_in(dir: &Path) -> Vec<Message> {
    let mut pending = Vec::new();
    for slot in notify_spool::admin::slots(dir).unwrap() {
        let open = notify_spool::admin::OpenSlot::open(dir, slot.number).unwrap();
        pending.extend(open.pending().map(|stored| stored.unwrap().message.unwrap()));
    }
    pending
}

/// Sends `messages` in one batch, and returns how many the spool accepted and its error, if any.
///
/// The function checks that the spool settles no message twice and accepts a prefix of the batch.
pub(crate) async fn send_once(spool: &mut Spool, messages: &[Message]) -> (usize, Option<Error>) {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "settled twice");
        }
    };
    let result = spool.send(&mut Batch::new(messages, &mut sink)).await;
    let is_accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
    let accepted = verdicts.iter().take_while(is_accepted).count();
    assert_eq!(verdicts.iter().filter(is_accepted).count(), accepted, "accepted out of order");
    let error = verdicts[accepted..].iter().flatten().find_map(|verdict| match verdict {
        Verdict::Retry(error) | Verdict::Refuse(error) => Some(error.clone()),
        Verdict::Accept => None,
    });
    (accepted, error.or(result.err()))
}

/// Opens a spool without its forwarder: the messages stay on the disk.
pub(crate) fn open_spool(config: Config) -> Spool {
    Spool::open(config, Script::default().transport()).unwrap().0
}
