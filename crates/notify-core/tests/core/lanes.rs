//! Lanes: what one lane of a destination does not take delays no other.
//!
//! The scripted destination has a lane for each priority. Its clock is paused, so that a wait that must
//! not happen would show as time.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_conformance::{LaneFault, samples};
use notify_core::codec::serde_json;
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, WorkerState};
use notify_core::transport::Lanes;
use notify_core::{
    Batch, Event, EventType, Message, Notifier, Outcome, Priority, Result, Transport,
};
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::support::{
    WakeCounter, assert_balances, builder, image_create, outcome, poll_once, queue_config,
};

/// A lane that refuses every message delays no message of the other lanes, however many of its messages
/// are older. When it takes messages again, it gets them in order.
#[tokio::test(start_paused = true)]
async fn a_full_queue_delays_no_other() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let (notifier, worker) = builder(&script).queue(queue_config(50_000, 1024)).build().unwrap();
    let stuck: Vec<_> = (0..5_000).map(|_| notifier.emit(&of(Priority::Error))).collect();
    let others: Vec<_> = (0..10_000).map(|n| notifier.emit(&of(DOCUMENTED[n % 2]))).collect();
    let worker = tokio::spawn(worker.run());
    let start = Instant::now();
    for receipt in others {
        receipt.await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let attempts_of_the_lane = script.declined();
    // One batch, and then one probe for each backoff.
    assert!(attempts_of_the_lane < 1024 + 10, "{attempts_of_the_lane} messages were declined");
    assert!(matches!(notifier.stats().state, WorkerState::Retrying { .. }));

    script.set_fault(Priority::Error, None);
    let ids: Vec<_> = stuck.iter().map(|receipt| receipt.message_id().unwrap()).collect();
    for receipt in stuck {
        receipt.await.unwrap();
    }
    let stored = script.stored();
    let arrived = stored.iter().filter(|message| message.priority() == Priority::Error);
    assert!(arrived.map(Message::id).eq(ids), "the messages of the lane changed their order");
    assert_eq!(notifier.shutdown(Duration::from_secs(1)).await.delivered, 15_000);
    worker.await.unwrap();
}

/// While a lane fails for an hour, it costs one message per backoff, and new messages of other lanes go
/// out at once.
#[tokio::test(start_paused = true)]
async fn a_failing_lane_sends_one_probe_per_backoff() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Warn, Some(LaneFault::Full));
    let (notifier, worker) = builder(&script).build().unwrap();
    tokio::spawn(worker.run());
    let stuck: Vec<_> = (0..100).map(|_| notifier.emit(&of(Priority::Warn))).collect();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // The waits of a lane grow to 15 s on average.
    let declined = script.declined() - 100;
    assert!((120..480).contains(&declined), "{declined} probes in an hour");
    let start = Instant::now();
    for _ in 0..100 {
        notifier.send(&of(Priority::Info)).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    script.set_fault(Priority::Warn, None);
    for receipt in stuck {
        receipt.await.unwrap();
    }
}

/// One bad message in seven delays none of the six others of its lane.
#[tokio::test(start_paused = true)]
async fn single_messages_that_fail_are_set_aside() {
    let script = Script::default();
    let (notifier, worker) = builder(&script).queue(queue_config(20_000, 1024)).build().unwrap();
    let receipts: Vec<_> = (0..17_143).map(|_| notifier.emit(&image_create())).collect();
    let is_bad = |at: usize| at % 7 == 3;
    for (at, receipt) in receipts.iter().enumerate() {
        if is_bad(at) {
            script.decline(receipt.message_id().unwrap(), true);
        }
    }
    let worker = tokio::spawn(worker.run());
    let start = Instant::now();
    let mut bad = Vec::new();
    for (at, receipt) in receipts.into_iter().enumerate() {
        if is_bad(at) {
            bad.push(receipt);
        } else {
            receipt.await.unwrap();
        }
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(notifier.stats().pending.messages, bad.len() as u64);
    // Alone they are a lane in which everything fails. A new message is its next probe.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let start = Instant::now();
    notifier.send(&image_create()).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(30), "{:?}", start.elapsed());
    for receipt in &bad {
        script.decline(receipt.message_id().unwrap(), false);
    }
    for receipt in bad {
        receipt.await.unwrap();
    }
    notifier.close();
    assert_eq!(worker.await.unwrap().delivered, 17_144);
}

/// One bad message cannot be every probe of its lane.
#[tokio::test(start_paused = true)]
async fn a_bad_message_at_the_head_does_not_stop_its_lane() {
    let script = Script::default();
    let (notifier, worker) = builder(&script).queue(queue_config(100, 1)).build().unwrap();
    let bad = notifier.emit(&image_create());
    script.decline(bad.message_id().unwrap(), true);
    let good: Vec<_> = (0..50).map(|_| notifier.emit(&image_create())).collect();
    tokio::spawn(worker.run());
    let start = Instant::now();
    for receipt in good {
        receipt.await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(notifier.stats().pending.messages, 1);
}

/// A lane without answers delays the others by one timeout. From then on it is attempted by itself.
#[tokio::test(start_paused = true)]
async fn a_silent_lane_delays_the_others_once() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Silent));
    let (notifier, worker) = builder(&script).build().unwrap();
    let worker = tokio::spawn(worker.run());
    let start = Instant::now();
    let stuck: Vec<_> = (0..2_000).map(|_| notifier.emit(&of(Priority::Error))).collect();
    notifier.send(&of(Priority::Info)).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    for at in 0..1_000 {
        notifier.send(&of(DOCUMENTED[at % 2])).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "the silent lane delayed the others again");
    // It stays isolated while it is silent.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let start = Instant::now();
    notifier.send(&of(Priority::Warn)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    script.set_fault(Priority::Error, None);
    for receipt in stuck {
        receipt.await.unwrap();
    }
    let start = Instant::now();
    assert_eq!(notifier.shutdown(Duration::from_secs(10)).await.delivered, 3_002);
    assert_eq!(start.elapsed(), Duration::ZERO);
    worker.await.unwrap();
    assert_eq!(script.open_transports(), 0, "the transport of the silent lane stays open");
}

/// New messages of a silent lane do not wake the worker, because the lane has a time for its next probe.
#[tokio::test(start_paused = true)]
async fn messages_of_a_silent_lane_do_not_wake_the_worker() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Silent));
    let (notifier, worker) = builder(&script).build().unwrap();
    let mut worker = pin!(unconstrained(worker.run()));
    let wakes = Arc::new(WakeCounter::default());
    let counting = Waker::from(Arc::clone(&wakes));
    for _ in 0..10 {
        drop(notifier.emit(&of(Priority::Error)));
    }
    let mut emitted = 0;
    for step in 0..100 {
        loop {
            let before = wakes.count();
            assert!(worker.as_mut().poll(&mut Context::from_waker(&counting)).is_pending());
            if wakes.count() == before {
                break;
            }
        }
        // The lane is silent after the first attempts. Later steps fall into probes and into waits.
        if step > 50 {
            let before = wakes.count();
            drop(notifier.emit(&of(Priority::Error)));
            emitted += 1;
            assert_eq!(wakes.count(), before, "step {step}");
        }
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(notifier.stats().pending.messages, 10 + emitted);
}

/// Two lanes that refuse for good, and a third that never answers: the others lose nothing, and
/// `shutdown` keeps its time.
#[tokio::test(start_paused = true)]
async fn several_failing_lanes_leave_room_for_the_others() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let script = Script::with_lanes();
        script.set_fault(Priority::Error, Some(LaneFault::Full));
        script.set_fault(Priority::Warn, Some(LaneFault::Full));
        script.set_fault(Priority::Audit, Some(LaneFault::Silent));
        let mut queue = queue_config(1_000, 100);
        queue.overflow = overflow;
        let (notifier, worker) = builder(&script).queue(queue).build().unwrap();
        let worker = tokio::spawn(worker.run());
        let mut delivered = 0;
        for round in 0..200 {
            for priority in [Priority::Error, Priority::Warn, Priority::Audit] {
                for _ in 0..20 {
                    drop(notifier.emit(&of(priority)));
                }
            }
            let receipts: Vec<_> = (0..10).map(|_| notifier.emit(&of(Priority::Info))).collect();
            for receipt in receipts {
                receipt.await.unwrap_or_else(|error| panic!("round {round}: {error:#}"));
                delivered += 1;
            }
            assert_balances(&notifier.stats());
        }
        let stats = notifier.stats();
        assert_eq!((stats.delivered, stats.refused), (delivered, 0));
        assert!(stats.dropped.overflow > 5_000, "{stats:?}");
        assert!(stats.pending.messages < 950, "{stats:?}");
        let start = Instant::now();
        let stats = notifier.shutdown(Duration::from_secs(10)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert_eq!((stats.pending.messages, stats.state.clone()), (0, WorkerState::Closed));
        assert!(stats.last_error.is_some());
        assert_balances(&stats);
        worker.await.unwrap();
    }
}

/// A lane that fails while others are delivered holds at most half of the room. Beyond that, the overflow policy applies to it.
#[tokio::test(start_paused = true)]
async fn a_failing_lane_holds_at_most_half_of_the_room() {
    for (overflow, kept) in [(Overflow::DropNewest, 0..500), (Overflow::DropOldest, 1_500..2_000)] {
        let script = Script::with_lanes();
        script.set_fault(Priority::Error, Some(LaneFault::Full));
        let mut queue = queue_config(1_000, 100);
        queue.overflow = overflow;
        let (notifier, worker) = builder(&script).queue(queue).build().unwrap();
        tokio::spawn(worker.run());
        let mut receipts = vec![notifier.emit(&of(Priority::Error))];
        tokio::time::sleep(Duration::from_millis(1)).await;
        notifier.send(&of(Priority::Info)).await.unwrap();
        receipts.extend((1..2_000).map(|_| notifier.emit(&of(Priority::Error))));
        let stats = notifier.stats();
        assert_eq!((stats.pending.messages, stats.dropped.overflow), (500, 1_500));
        script.set_fault(Priority::Error, None);
        for (at, receipt) in receipts.into_iter().enumerate() {
            let expected = if kept.contains(&at) { None } else { Some(Outcome::NotSent) };
            assert_eq!(outcome(receipt.await), expected, "message {at}, {overflow:?}");
        }
    }
}

/// A lane that filled the whole queue before it failed makes room for the others, one message for each.
#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_with_a_full_queue_makes_room() {
    for fault in [LaneFault::Full, LaneFault::Silent] {
        let script = Script::with_lanes();
        script.set_fault(Priority::Error, Some(fault));
        let (notifier, worker) = builder(&script).queue(queue_config(1_000, 100)).build().unwrap();
        let stuck: Vec<_> = (0..1_000).map(|_| notifier.emit(&of(Priority::Error))).collect();
        tokio::spawn(worker.run());
        tokio::time::sleep(Duration::from_secs(10)).await;
        for _ in 0..100 {
            notifier.emit(&of(Priority::Info)).await.unwrap();
        }
        let dropped = notifier.stats().dropped.overflow;
        assert!((1..=100).contains(&dropped), "{dropped}");
        script.set_fault(Priority::Error, None);
        let mut delivered = 0;
        for receipt in stuck {
            delivered += u64::from(receipt.await.is_ok());
        }
        assert_eq!(delivered, 1_000 - dropped);
    }
}

/// A caller that waits for room in the full queue gets it when the lane that filled the queue fails.
#[tokio::test(start_paused = true)]
async fn a_lane_that_fails_makes_room_for_a_caller_that_waits() {
    for fault in [LaneFault::Full, LaneFault::Silent] {
        let script = Script::with_lanes();
        script.set_fault(Priority::Error, Some(fault));
        let (notifier, worker) = builder(&script).queue(queue_config(1_000, 100)).build().unwrap();
        let _stuck: Vec<_> = (0..1_000).map(|_| notifier.emit(&of(Priority::Error))).collect();
        let event = of(Priority::Info);
        let mut waiting = pin!(notifier.enqueue(&event));
        assert!(poll_once(&mut waiting).is_none(), "the queue has no room");
        tokio::spawn(worker.run());
        let start = Instant::now();
        waiting.await.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(10), "{fault:?}: {:?}", start.elapsed());
    }
}

/// A caller that waits for room in a failing lane holds up no caller of another lane.
#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_a_failing_lane_delays_no_other() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Error, Some(LaneFault::Full));
    let (notifier, worker) = builder(&script).queue(queue_config(100, 10)).build().unwrap();
    tokio::spawn(worker.run());
    let first = notifier.emit(&of(Priority::Error));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let _stuck: Vec<_> = (0..49).map(|_| notifier.emit(&of(Priority::Error))).collect();
    let waiting = tokio::spawn({
        let notifier = notifier.clone();
        async move { notifier.enqueue(&of(Priority::Error)).await.await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    for _ in 0..1_000 {
        notifier.enqueue(&of(Priority::Info)).await.await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    script.set_fault(Priority::Error, None);
    waiting.await.unwrap().unwrap();
    first.await.unwrap();
}

/// An error of a transport without a duplicate is one failure of the connection: no lane fails, whether the
/// attempt timed out, or broke after it settled messages of another lane.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_transport_without_a_duplicate_concerns_all_lanes() {
    let leave = ScriptAction::LeaveUnsettled;
    let attempts = [
        ([leave, leave, leave], ScriptEnd::Stall),
        ([ScriptAction::Accept, leave, leave], ScriptEnd::Transient),
    ];
    for (actions, end) in attempts {
        let script = Script::with_lanes();
        let settled = actions.iter().filter(|action| **action == ScriptAction::Accept).count();
        script.add_attempt(ScriptAttempt { actions: actions.to_vec(), end });
        let (notifier, worker) = Notifier::builder(NoDuplicate(script.transport()))
            .publisher_id("host1")
            .attempt_timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let priorities = [Priority::Info, Priority::Warn, Priority::Error];
        let receipts = priorities.map(|priority| notifier.emit(&of(priority)));
        tokio::spawn(worker.run());
        let failed = Instant::now() + Duration::from_secs(10);
        while !matches!(notifier.stats().state, WorkerState::Retrying { .. }) {
            assert!(Instant::now() < failed, "{:?}", notifier.stats());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!notifier.has_failing_lane(), "{end:?}");
        assert_eq!(notifier.stats().delivered, settled as u64);
        for receipt in receipts {
            receipt.await.unwrap();
        }
        assert_eq!(script.batch_sizes(), [3, 3 - settled], "{end:?}: one retry for all lanes");
    }
}

/// While the whole destination fails, every lane may use all the room.
#[tokio::test(start_paused = true)]
async fn an_outage_of_all_lanes_leaves_them_all_the_room() {
    let script = Script::with_lanes();
    script.set_fault(Priority::Info, Some(LaneFault::Silent));
    let (notifier, worker) = builder(&script).queue(queue_config(1_000, 100)).build().unwrap();
    tokio::spawn(worker.run());
    for _ in 0..10 {
        drop(notifier.emit(&of(Priority::Info)));
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let _pending: Vec<_> = (10..1_000).map(|_| notifier.emit(&of(Priority::Info))).collect();
    let stats = notifier.stats();
    assert_eq!((stats.pending.messages, stats.dropped.overflow), (1_000, 0));
}

/// A message that waits keeps only its own bytes, and not the memory that it shared with messages that
/// were delivered. Otherwise a few stuck messages could hold many times `queue.max_bytes`.
#[tokio::test(start_paused = true)]
async fn a_message_that_waits_shares_no_memory() {
    let script = Script::with_lanes();
    let (notifier, worker) = builder(&script).build().unwrap();
    // These values keep the shared memory alive, so that no copy can lie at the same address.
    let messages = samples::messages(0..300);
    let is_stuck = |at: usize| at % 23 == 7;
    let (first, later) = messages.split_at(200);
    for (at, message) in first.iter().enumerate() {
        script.decline(message.id(), is_stuck(at));
        drop(notifier.relay(message.clone()).await);
    }
    tokio::spawn(worker.run());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(script.declined(), first.len().div_ceil(23));
    // From here on, whole lanes fail: their new messages wait too.
    for priority in Priority::ALL {
        script.set_fault(*priority, Some(LaneFault::Full));
    }
    let documented = [Priority::Info, Priority::Warn, Priority::Error];
    let probes = documented.map(|priority| notifier.emit(&of(priority)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    for message in later {
        drop(notifier.relay(message.clone()).await);
    }
    for priority in Priority::ALL {
        script.set_fault(*priority, None);
    }
    for message in &messages {
        script.decline(message.id(), false);
    }
    notifier.flush(Duration::from_secs(120)).await.unwrap();
    drop(probes);
    let stored = script.stored();
    for (at, message) in messages.iter().enumerate() {
        let arrived = stored.iter().find(|it| it.id() == message.id()).unwrap();
        let is_shared = arrived.body().as_ptr() == message.body().as_ptr();
        assert_eq!(is_shared, at < first.len() && !is_stuck(at), "{at}");
    }
}

/// A transport that makes no duplicate, as the spool.
#[derive(Debug)]
struct NoDuplicate(Box<dyn Transport>);

#[async_trait]
impl Transport for NoDuplicate {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn lanes(&self) -> Lanes {
        self.0.lanes()
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        self.0.send(batch).await
    }

    async fn close(&mut self) -> Result<()> {
        self.0.close().await
    }
}

/// Returns an event of a priority.
fn of(priority: Priority) -> Event {
    match priority {
        Priority::Warn => Event::ImageUpload(Payload::Warn("slow".into())),
        Priority::Error => Event::ImageUpload(Payload::Error("failed".into())),
        Priority::Info => image_create(),
        priority => Event::Other {
            event_type: EventType::new("image.audit").unwrap(),
            priority,
            payload: serde_json::json!({ "id": "x" }),
        },
    }
}

/// Two priorities whose lanes work.
const DOCUMENTED: [Priority; 2] = [Priority::Info, Priority::Warn];
