//! What the tests of the spool share.

use std::path::Path;
use std::time::Duration;

use notify_conformance::script::Script;
use notify_core::pipeline::{Receipt, Stats};
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Notifier, Transport as _, Verdict, Worker};
use notify_spool::{Config, Spool};
use tokio::task::JoinHandle;

/// A notifier to a spool in a directory, whose destination is a script.
pub(crate) struct Running {
    pub(crate) notifier: Notifier,
    pub(crate) worker: JoinHandle<Stats>,
}

pub(crate) fn start(config: Config, script: &Script) -> Running {
    let (notifier, worker) = build(config, script);
    Running { notifier, worker: tokio::spawn(worker.run()) }
}

pub(crate) fn build(config: Config, script: &Script) -> (Notifier, Worker) {
    let (spool, forwarder) = Spool::open(config, script.transport()).unwrap();
    let builder = Notifier::builder(spool).publisher_id("host1");
    builder.behind(forwarder).build().unwrap()
}

impl Running {
    /// Emits `messages`, and waits until they are on the disk.
    pub(crate) async fn store(&self, messages: &[Message]) {
        let mut receipts: Vec<Receipt> = Vec::new();
        for message in messages {
            receipts.push(self.notifier.relay(message.clone()).await);
        }
        for receipt in receipts {
            within("a receipt", receipt).await.expect("the disk to take it");
        }
    }

    /// The account of the second stage.
    pub(crate) fn forwarded(&self) -> Stats {
        let [_, (_, stats)] = self.notifier.stages().try_into().expect("two stages");
        stats
    }

    pub(crate) async fn stop(self) -> Stats {
        self.notifier.shutdown(Duration::from_secs(10)).await;
        within("the worker", self.worker).await.unwrap();
        let [(_, own), (_, stats)] = self.notifier.stages().try_into().expect("two stages");
        balanced(&own);
        balanced(&stats);
        stats
    }
}

/// The identity of an account.
pub(crate) fn balanced(stats: &Stats) {
    let Stats { emitted, delivered, refused, dropped, pending, .. } = stats;
    assert_eq!(*emitted, delivered + refused + dropped.total() + pending.messages, "{stats:?}");
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(output) => output,
        Err(_) => panic!("waited a minute for {what}"),
    }
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.body().to_vec()).unwrap()).collect()
}

/// Everything that is pending in the slots of a directory that nobody holds.
pub(crate) fn left_in(dir: &Path) -> Vec<Message> {
    let mut left = Vec::new();
    for slot in notify_spool::admin::slots(dir).unwrap() {
        let open = notify_spool::admin::OpenSlot::open(dir, slot.number).unwrap();
        left.extend(open.pending().map(|entry| entry.unwrap().message.unwrap()));
    }
    left
}

/// Tries once to store `messages`; says how many were accepted, none after one that was not, and what
/// else was said.
pub(crate) async fn attempt(spool: &mut Spool, messages: &[Message]) -> (usize, Option<Error>) {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "settled twice");
        }
    };
    let result = spool.send(&mut Batch::new(messages, &mut sink)).await;
    let is_accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
    let accepted = verdicts.iter().take_while(is_accepted).count();
    assert_eq!(verdicts.iter().filter(is_accepted).count(), accepted, "accepted in order");
    let error = verdicts[accepted..].iter().flatten().find_map(|verdict| match verdict {
        Verdict::Retry(error) | Verdict::Refuse(error) => Some(error.clone()),
        Verdict::Accept => None,
    });
    (accepted, error.or(result.err()))
}

/// A spool that only keeps: what is behind it is never asked.
pub(crate) fn keep(config: Config) -> Spool {
    Spool::open(config, Script::default().transport()).unwrap().0
}
