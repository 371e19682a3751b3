//! Lanes behind a spool: what one lane or one message does not take delays nothing else.

use std::path::Path;

use notify_conformance::script::Script;
use notify_conformance::{LaneFault, samples};
use notify_core::pipeline::{Receipt, WorkerState};
use notify_core::{ErrorKind, Message, Priority};
use notify_spool::{Config, FullSpoolPolicy, admin};

use crate::support::{RunningNotifier, assert_balanced, bodies, pending_in, start, until, within};

/// In quiet traffic, a message that the destination always declines neither stops the others nor keeps
/// their outcomes from the disk: after a kill, only that message is left.
#[tokio::test]
async fn a_stuck_message_neither_stops_nor_hides_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let script = Script::default();
    let messages = samples::messages(0..200);
    script.decline(messages[3].id(), true);
    let running = start(Config::new(&path), &script);
    for message in &messages {
        // A transaction, and so a chunk, for each message.
        running.store(std::slice::from_ref(message)).await;
    }
    until("recording of all others", || running.forwarded().delivered == 199).await;
    let stats = running.forwarded();
    assert_balanced(&stats);
    assert_eq!((stats.emitted, stats.pending.messages), (200, 1));
    // Without a shutdown, as a kill.
    running.worker.abort();
    drop(running);
    until("the end of the thread", || is_free(&path)).await;
    assert_eq!(bodies(&pending_in(&path)), bodies(&messages[3..4]));
}

/// While one lane declines or withholds its answers, the spool forwards everything of the others, more
/// than the queue of its pipeline holds. When the lane works again, everything arrives, in the order of
/// each lane except for probes.
#[tokio::test]
async fn a_failing_lane_delays_no_other_behind_a_spool() {
    for fault in [LaneFault::Full, LaneFault::Silent] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let script = Script::with_lanes();
        script.set_fault(Priority::Error, Some(fault));
        let mut config = Config::new(&path);
        config.batch_messages = 64;
        let running = start(config, &script);
        let messages = samples::messages(0..3000);
        for batch in messages.chunks(500) {
            running.store(batch).await;
        }
        let failing = of_lane(&messages, true).len() as u64;
        assert!(failing > 128, "more than the queue holds: {failing}");
        until("forwarding of the other lanes", || running.forwarded().pending.messages == failing)
            .await;
        assert!(of_lane(&script.stored(), true).is_empty());
        assert_balanced(&running.forwarded());
        script.set_fault(Priority::Error, None);
        until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
        running.stop().await;
        let stored = bodies(&of_lane(&script.stored(), false));
        assert!(stored == bodies(&of_lane(&messages, false)), "{fault:?}");
        // Later probes of a lane pass the messages that made earlier ones.
        let (stored, expected) = (of_lane(&script.stored(), true), of_lane(&messages, true));
        let passed = stored.windows(2).filter(|pair| pair[0].timestamp() > pair[1].timestamp());
        assert!(passed.count() <= 8, "{fault:?}: {:?}", bodies(&stored));
        assert_same_messages(&stored, &expected);
    }
}

/// Two lanes that fail take the room of a small pipeline. Each of them recovers although the other does not.
#[tokio::test]
async fn a_lane_recovers_behind_another_that_fails() {
    const FAILING: [Priority; 2] = [Priority::Warn, Priority::Error];
    for recovered in FAILING {
        let dir = tempfile::tempdir().unwrap();
        let script = Script::with_lanes();
        for priority in FAILING {
            script.set_fault(priority, Some(LaneFault::Full));
        }
        let mut config = Config::new(dir.path().join("s"));
        config.batch_messages = 1;
        let running = start(config, &script);
        // Two messages of each of three lanes.
        running.store(&samples::messages(0..6)).await;
        until("forwarding of the lane that works", || running.forwarded().delivered == 2).await;
        script.set_fault(recovered, None);
        until("forwarding of the lane that recovers", || running.forwarded().delivered == 4).await;
        for priority in FAILING {
            script.set_fault(priority, None);
        }
        until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
        running.stop().await;
    }
}

/// The messages of a lane that fails are stored behind the others of their batch, in chunks of their own: the
/// outcomes of the others then remove whole chunks, and write none of these messages again.
#[tokio::test]
async fn a_failing_lane_has_chunks_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let running = start(Config::new(&path), &script);
    let messages = samples::messages(0..400);
    for half in messages.chunks(200) {
        running.store(half).await;
        let stored = running.forwarded().emitted;
        let stored = usize::try_from(stored).unwrap();
        let waiting = of_lane(&messages[..stored], true).len() as u64;
        until("forwarding of the others", || running.forwarded().pending.messages == waiting).await;
    }
    running.worker.abort();
    drop(running);
    until("the end of the thread", || is_free(&path)).await;
    let slot = notify_spool::admin::OpenSlot::open(&path, 0).unwrap();
    let waiting: Vec<_> = slot.pending().map(|message| message.unwrap()).collect();
    let bodies_of = |of: &[Message]| bodies(&of_lane(of, true));
    let texts: Vec<_> = waiting.iter().map(|it| it.message.clone().unwrap()).collect();
    assert!(bodies(&texts) == bodies_of(&messages), "the lane keeps its order");
    // The first half is stored before the destination declined a message of the lane.
    let later = &waiting[bodies_of(&messages[..200]).len()..];
    let gaps = later.windows(2).filter(|pair| pair[1].number > pair[0].number + 1).count();
    assert!(later.len() > 20 && gaps < 5, "{gaps} gaps in {} messages", later.len());
}

/// While a lane fails, far more messages of the others pass the spool than it holds. Those of the lane take half
/// of its room, and the rest of them waits in front of it until the lane works again.
#[tokio::test]
async fn a_failing_lane_leaves_room_in_the_spool() {
    for fault in [LaneFault::Full, LaneFault::Silent] {
        let dir = tempfile::tempdir().unwrap();
        let (script, config) = small_spool(dir.path(), fault);
        let running = start(config, &script);
        let (failing, others) = messages_of_both(300);
        let stuck = emit_past_a_fault(&running, &failing, &others).await;
        let refusal = "the spool holds 15 messages and keeps the rest of its room for queues that work: \
                       repair the queue that fails, or raise `spool.max_bytes`";
        until("a lane that holds half of the room", || {
            let stats = running.notifier.stats();
            stats.pending.messages == failing.len() as u64 - 15
                && stats.last_error.is_some_and(|error| error.contains(refusal))
        })
        .await;
        assert_eq!(running.forwarded().pending.messages, 15, "{fault:?}");
        script.set_fault(Priority::Error, None);
        for receipt in stuck {
            within("a message of the repaired lane", receipt).await.unwrap();
        }
        until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
        let stats = running.notifier.stats();
        assert_eq!((stats.refused, stats.dropped.total()), (0, 0), "{fault:?}");
        running.stop().await;
        assert_same_messages(&script.stored(), &[failing, others].concat());
    }
}

/// A notifier that closes stores the messages in front of the spool that wait for a lane that fails. Otherwise
/// it would lose them.
#[tokio::test]
async fn a_closed_notifier_stores_what_waits_for_a_failing_lane() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let mut config = Config::new(&path);
    config.max_messages = 100;
    let running = start(config, &script);
    let (failing, _) = messages_of_both(60);
    start_failing(&running, &failing[0]).await;
    for message in &failing[1..] {
        drop(running.notifier.relay(message.clone()).await);
    }
    until("messages in front of the spool", || running.notifier.stats().pending.messages == 10)
        .await;
    running.stop().await;
    assert_same_messages(&pending_in(&path), &failing);
}

/// If the whole destination fails after one of its lanes, the others may fill the spool, and everything arrives
/// afterwards.
#[tokio::test]
async fn an_outage_after_a_failing_lane_may_fill_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let (script, config) = small_spool(dir.path(), LaneFault::Full);
    let running = start(config, &script);
    let (failing, others) = messages_of_both(60);
    let mut stuck = emit_past_a_fault(&running, &failing[..31], &others[..30]).await;
    for priority in [Priority::Info, Priority::Warn] {
        script.set_fault(priority, Some(LaneFault::Full));
    }
    for message in &others[30..] {
        stuck.push(running.notifier.relay(message.clone()).await);
    }
    until("a full spool", || running.forwarded().pending.messages == 30).await;
    for priority in [Priority::Info, Priority::Warn, Priority::Error] {
        script.set_fault(priority, None);
    }
    for receipt in stuck {
        within("a message of the outage", receipt).await.unwrap();
    }
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    running.stop().await;
    assert_same_messages(&script.stored(), &[&failing[..31], &others].concat());
}

/// A full queue that takes a few messages now and then holds half of the room too, and no more.
#[tokio::test]
async fn a_slow_lane_leaves_room_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let (script, config) = small_spool(dir.path(), LaneFault::Full);
    let running = start(config, &script);
    let (failing, others) = messages_of_both(300);
    start_failing(&running, &failing[0]).await;
    for (round, (failing, others)) in failing[1..].chunks(10).zip(others.chunks(10)).enumerate() {
        for message in failing {
            drop(running.notifier.relay(message.clone()).await);
        }
        script.set_fault(Priority::Error, None);
        let before = of_lane(&script.stored(), true).len();
        let has_taken = || of_lane(&script.stored(), true).len() > before;
        until("a message of the slow lane", has_taken).await;
        script.set_fault(Priority::Error, Some(LaneFault::Full));
        running.store(others).await;
        let all = (round + 1) * 10;
        until("the others", || of_lane(&script.stored(), false).len() == all).await;
        let held = || running.forwarded().pending.messages <= 15;
        until("at most half of the room", held).await;
    }
}

/// With the policy `refuse`, a spool refuses only messages of the lane that fails.
#[tokio::test]
async fn a_spool_refuses_only_messages_of_a_failing_lane() {
    let dir = tempfile::tempdir().unwrap();
    let (script, mut config) = small_spool(dir.path(), LaneFault::Full);
    config.when_full = FullSpoolPolicy::Refuse;
    let running = start(config, &script);
    let (failing, others) = messages_of_both(300);
    let mut accepted = 0;
    for receipt in emit_past_a_fault(&running, &failing, &others).await {
        match within("a receipt", receipt).await {
            Ok(()) => accepted += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full);
                assert!(error.to_string().contains("room for queues that work"), "{error}");
            }
        }
    }
    assert!((1..=15).contains(&accepted), "{accepted}");
    assert_eq!(running.forwarded().pending.messages, accepted);
    assert_eq!(running.notifier.stats().refused, failing.len() as u64 - accepted);
    script.set_fault(Priority::Error, None);
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    assert_eq!(running.stop().await.delivered, accepted + others.len() as u64);
}

/// Messages that wait for a failing lane do not keep the process from adopting other orphans.
#[tokio::test]
async fn an_orphan_that_waits_for_a_lane_delays_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let mut spools: Vec<_> =
        (0..4).map(|_| crate::support::open_spool(Config::new(&path))).collect();
    for (spool, from) in spools.iter_mut().zip([0, 100, 200, 300]) {
        crate::support::send_once(spool, &samples::messages(from..from + 100)).await;
    }
    drop(spools);
    until("the end of the threads", || is_free(&path)).await;
    let messages = samples::messages(0..400);
    let running = start(Config::new(&path), &script);
    let others = of_lane(&messages, false).len();
    until("forwarding of the other lanes", || script.stored().len() == others).await;
    script.set_fault(Priority::Error, None);
    until("forwarding of all messages", || script.stored().len() == 400).await;
    until("recording of all outcomes", || running.forwarded().pending.messages == 0).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (400, 400));
}

/// Returns a destination with a fault in the lane of the errors, and a spool of 30 messages.
fn small_spool(dir: &Path, fault: LaneFault) -> (Script, Config) {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(fault));
    let mut config = Config::new(dir.join("s"));
    config.max_messages = 30;
    (script, config)
}

/// Emits messages of a lane that fails and of others in turn, and waits until all others are delivered. Returns
/// the receipts of the lane.
async fn emit_past_a_fault(
    running: &RunningNotifier,
    failing: &[Message],
    others: &[Message],
) -> Vec<Receipt> {
    let mut stuck = vec![start_failing(running, &failing[0]).await];
    let mut delivered = 0;
    // A few at a time: the others must not fill the spool by themselves.
    for (failing, others) in failing[1..].chunks(10).zip(others.chunks(10)) {
        for message in failing {
            stuck.push(running.notifier.relay(message.clone()).await);
        }
        running.store(others).await;
        delivered += others.len() as u64;
        until("forwarding of the others", || running.forwarded().delivered == delivered).await;
    }
    stuck
}

/// Emits a message of a lane that fails, and waits until the spool knows that. Returns the receipt.
async fn start_failing(running: &RunningNotifier, message: &Message) -> Receipt {
    let receipt = running.notifier.relay(message.clone()).await;
    let is_failing = || matches!(running.forwarded().state, WorkerState::Retrying { .. });
    until("the failure of the lane", is_failing).await;
    receipt
}

/// Returns `count` messages whose priority is `ERROR`, and as many others.
fn messages_of_both(count: usize) -> (Vec<Message>, Vec<Message>) {
    let messages = samples::messages(0..count as u64 * 4);
    let [failing, others] = [true, false].map(|it| of_lane(&messages, it)[..count].to_vec());
    (failing, others)
}

/// Checks that both hold the same messages, in any order.
fn assert_same_messages(left: &[Message], right: &[Message]) {
    let [left, right] = [left, right].map(|messages| {
        let mut bodies = bodies(messages);
        bodies.sort_unstable();
        bodies
    });
    assert!(left == right, "{} messages, and {} expected", left.len(), right.len());
}

/// Returns the messages whose priority is `ERROR`, or all others.
fn of_lane(messages: &[Message], is_error: bool) -> Vec<Message> {
    let matches = |message: &&Message| (message.priority() == Priority::Error) == is_error;
    messages.iter().filter(matches).cloned().collect()
}

/// Whether no process owns a slot.
fn is_free(path: &Path) -> bool {
    admin::slots(path).unwrap().iter().all(|slot| slot.owner.is_none())
}
