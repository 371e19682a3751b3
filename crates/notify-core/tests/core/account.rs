//! The account under random faults: it balances at every moment, and its numbers match the receipts.

use std::collections::HashSet;
use std::time::Duration;

use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::codec::{Encoding, SizeLimits};
use notify_core::event::Payload;
use notify_core::pipeline::{Overflow, QueueConfig};
use notify_core::{ErrorKind, Event, EventType, Message, Notifier, Outcome, Priority};
use notify_testbed::proptest_cases;
use proptest::prelude::*;

use crate::fixtures::event;
use crate::support::assert_balances;

/// One step of an emitter, of the destination or of time.
#[derive(Clone, Debug)]
enum FaultStep {
    /// Emits this many notifications.
    Emit(usize),
    /// Emits a notification beyond the size limits.
    EmitTooLarge,
    /// Spawns a task that enqueues one notification.
    Enqueue,
    /// Adds an attempt to the script.
    AddAttempt(Vec<ScriptAction>, ScriptEnd),
    /// Lets this many milliseconds pass.
    Wait(u64),
    /// Stalls or resumes the destination.
    Stall(bool),
}

/// Generates one step.
fn step() -> impl Strategy<Value = FaultStep> {
    let action = prop_oneof![
        3 => Just(ScriptAction::Accept),
        1 => Just(ScriptAction::Retry),
        1 => Just(ScriptAction::Refuse),
        1 => Just(ScriptAction::LeaveUnsettled),
        1 => Just(ScriptAction::StoreUnsettled),
    ];
    let end = prop_oneof![
        3 => Just(ScriptEnd::Ok),
        2 => Just(ScriptEnd::Transient),
        1 => Just(ScriptEnd::Permanent),
        1 => Just(ScriptEnd::Stall),
    ];
    prop_oneof![
        4 => (1..12_usize).prop_map(FaultStep::Emit),
        1 => Just(FaultStep::EmitTooLarge),
        2 => Just(FaultStep::Enqueue),
        4 => (prop::collection::vec(action, 0..8), end)
            .prop_map(|(actions, end)| FaultStep::AddAttempt(actions, end)),
        4 => (1..90_000_u64).prop_map(FaultStep::Wait),
        1 => any::<bool>().prop_map(FaultStep::Stall),
    ]
}

/// Generates a small queue.
fn config() -> impl Strategy<Value = QueueConfig> {
    (1..20_usize, 1..8_usize, any::<bool>(), prop::option::of(1..200_u64)).prop_map(
        |(max_messages, batch_messages, oldest, max_age)| {
            let mut config = QueueConfig::default();
            config.max_messages = max_messages;
            config.batch_messages = batch_messages;
            config.overflow = if oldest { Overflow::DropOldest } else { Overflow::DropNewest };
            config.max_age = max_age.map(Duration::from_secs);
            config
        },
    )
}

/// Applies the steps, shuts down within `drain` seconds, and compares the account with the receipts
/// and with the messages that the destination stored.
async fn run(config: QueueConfig, steps: Vec<FaultStep>, drain: u64) {
    let script = Script::default();
    let max_messages = config.max_messages as u64;
    let (notifier, worker) = Notifier::builder(script.transport())
        .encoding(Encoding {
            limits: SizeLimits { bytes: 4096, ..SizeLimits::default() },
            ..Encoding::default()
        })
        .send_timeout(Duration::from_secs(20))
        .queue(config)
        .build()
        .unwrap();
    let worker = tokio::spawn(worker.run());
    let small = event(EventType::ImageSend, Priority::Info);
    let large = Event::ImageUpload(Payload::Error("x".repeat(4096)));
    let (mut receipts, mut enqueued, mut emitted) = (Vec::new(), Vec::new(), 0);
    for step in steps {
        match step {
            FaultStep::Emit(count) => {
                for _ in 0..count {
                    receipts.push(notifier.emit(&small));
                    emitted += 1;
                    assert_balances(&notifier.stats());
                }
            }
            FaultStep::EmitTooLarge => {
                receipts.push(notifier.emit(&large));
                emitted += 1;
            }
            FaultStep::Enqueue => {
                let (notifier, small) = (notifier.clone(), small.clone());
                enqueued.push(tokio::spawn(async move { [notifier.enqueue(&small).await] }));
            }
            FaultStep::AddAttempt(actions, end) => {
                script.add_attempt(ScriptAttempt { actions, end });
            }
            FaultStep::Wait(milliseconds) => {
                for _ in 0..10 {
                    tokio::time::sleep(Duration::from_millis(milliseconds / 10)).await;
                    assert_balances(&notifier.stats());
                }
            }
            FaultStep::Stall(stalled) => script.set_stalled(stalled),
        }
        let stats = notifier.stats();
        assert_balances(&stats);
        assert!(stats.pending.messages <= max_messages);
        assert_eq!(stats.oldest_pending.is_some(), stats.pending.messages > 0);
    }
    notifier.shutdown(Duration::from_secs(drain)).await;
    worker.await.unwrap();
    for task in enqueued {
        receipts.extend(task.await.unwrap());
        emitted += 1;
    }
    let stats = notifier.stats();
    assert_balances(&stats);
    assert_eq!((stats.pending.messages, stats.pending.bytes), (0, 0));

    // Count the outcomes of all receipts.
    let stored: HashSet<_> = script.stored().iter().map(Message::id).collect();
    let (mut delivered, mut refused, mut dropped) = (0, 0, 0);
    for mut receipt in receipts {
        let id = receipt.message_id();
        match receipt.wait(Duration::ZERO) {
            Ok(()) => {
                delivered += 1;
                assert!(stored.contains(&id.unwrap()), "delivered, but not stored");
            }
            Err(error) if error.outcome() == Outcome::Rejected => refused += 1,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Bug);
                dropped += 1;
                let is_stored = id.is_some_and(|id| stored.contains(&id));
                assert!(!is_stored || error.outcome() == Outcome::Unknown, "stored, but `NotSent`");
            }
        }
    }
    let stats = notifier.stats();
    assert_eq!(stats.emitted, emitted);
    assert_eq!(
        (stats.delivered, stats.refused, stats.dropped.total()),
        (delivered, refused, dropped)
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: proptest_cases(512),
        ..ProptestConfig::default()
    })]

    /// `emitted = delivered + refused + dropped + pending` at every moment, and a receipt never claims
    /// a delivery that did not happen.
    #[test]
    fn the_account_balances_under_random_faults(
        config in config(),
        steps in prop::collection::vec(step(), 1..40),
        drain in 0..100_u64,
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(run(config, steps, drain));
    }
}

/// The first attempts of messages keep the order of `emit`, whatever fails.
#[tokio::test(start_paused = true)]
async fn first_attempts_keep_the_order() {
    let script = Script::default();
    for actions in [
        [ScriptAction::Retry, ScriptAction::Accept, ScriptAction::LeaveUnsettled],
        [ScriptAction::LeaveUnsettled, ScriptAction::Retry, ScriptAction::Accept],
    ] {
        let attempt = ScriptAttempt { actions: actions.to_vec(), end: ScriptEnd::Transient };
        script.add_attempt(attempt);
    }
    let mut config = QueueConfig::default();
    config.batch_messages = 3;
    let (notifier, worker) = Notifier::builder(script.transport()).queue(config).build().unwrap();
    let event = event(EventType::ImageSend, Priority::Info);
    let ids: Vec<_> = (0..30).map(|_| notifier.emit(&event).message_id().unwrap()).collect();
    tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(60)).await.unwrap();
    let stored: Vec<_> = script.stored().iter().map(Message::id).collect();
    assert_eq!(stored.len(), 30);
    // The declined ones are set aside. No message overtakes one that was never sent.
    let place = |index: usize| stored.iter().position(|id| *id == ids[index]).unwrap();
    assert!((4..30).map(place).is_sorted());
}
