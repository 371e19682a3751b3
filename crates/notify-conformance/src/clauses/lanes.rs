//! Clauses about lanes: what one queue behind the destination does not take delays no other.
//!
//! These clauses run the transport under a real notifier, because the pipeline and the transport keep
//! the promise together.

use notify_core::pipeline::{Receipt, Stats};
use notify_core::{Message, Notifier, Priority};

use super::comparison::assert_same_bodies;
use super::waiting::within;
use crate::harness::{Capability, Harness, LaneFault};
use crate::samples;

/// While one lane is full, the messages of the others arrive; once it has room, all arrive.
///
/// Needs [`Capability::FullLane`].
pub async fn a_failing_lane_delays_no_other<H: Harness>() {
    if Capability::FullLane.is_supported_by::<H>() {
        let mut harness = H::start().await;
        let messages = samples::messages(0..300);
        deliver_past_a_fault(&mut harness, LaneFault::Full, &messages, &[]).await;
    }
}

/// A lane that gives no answer delays the others once. Until it answers again, they go on.
///
/// Needs [`Capability::SilentLane`].
pub async fn a_silent_lane_delays_the_others_once<H: Harness>() {
    if Capability::SilentLane.is_supported_by::<H>() {
        let mut harness = H::start().await;
        let messages = samples::messages(0..30);
        // One after the other: if each waited for the silent lane, they would take too long together.
        let later = samples::messages(30..330);
        deliver_past_a_fault(&mut harness, LaneFault::Silent, &messages, &later).await;
    }
}

/// Breaks the lane of priority `INFO`, delivers `messages` together and then `later` one by one, and
/// repairs the lane.
async fn deliver_past_a_fault<H: Harness>(
    harness: &mut H,
    fault: LaneFault,
    messages: &[Message],
    later: &[Message],
) {
    let transport = harness.transport();
    assert!(transport.duplicate().is_some(), "a transport with several lanes has no duplicate");
    let (notifier, worker) = match Notifier::builder(transport).publisher_id("host1").build() {
        Ok(built) => built,
        Err(error) => panic!("cannot build a notifier: {error:#}"),
    };
    let clause = async {
        // The destination declares its queues with the first message.
        let first = samples::messages(1_000..1_003);
        relay_all(&notifier, &first).await;
        harness.set_lane_fault(BROKEN, Some(fault)).await;
        let mut broken = Vec::new();
        let mut others = Vec::new();
        for message in messages {
            let receipt = notifier.relay(message.clone()).await;
            if message.priority() == BROKEN { &mut broken } else { &mut others }.push(receipt);
        }
        within("the messages of the other lanes", accepted(others)).await;
        let later = later.iter().filter(|message| message.priority() != BROKEN);
        let later: Vec<_> = later.cloned().collect();
        within("the later messages of the other lanes", async {
            for message in &later {
                relay_all(&notifier, std::slice::from_ref(message)).await;
            }
        })
        .await;
        let Stats { pending, .. } = notifier.stats();
        assert!(pending.messages > 0, "the broken lane delivered everything");
        harness.set_lane_fault(BROKEN, None).await;
        within("the messages of the repaired lane", accepted(broken)).await;
        notifier.close();
        let all: Vec<_> = first.iter().chain(messages).chain(&later).cloned().collect();
        if Capability::ReadBack.is_supported_by::<H>() && fault == LaneFault::Full {
            let mut received = harness.received().await;
            let mut all = all;
            received.sort_by(|a, b| a.body.cmp(&b.body));
            all.sort_by(|a, b| a.body().cmp(b.body()));
            assert_same_bodies(&received, &all);
        }
    };
    tokio::join!(worker.run(), clause);
}

/// Relays messages and waits until the destination accepted them.
async fn relay_all(notifier: &Notifier, messages: &[Message]) {
    let mut receipts = Vec::new();
    for message in messages {
        receipts.push(notifier.relay(message.clone()).await);
    }
    accepted(receipts).await;
}

/// Waits until the destination accepted all messages.
async fn accepted(receipts: Vec<Receipt>) {
    for receipt in receipts {
        if let Err(error) = receipt.await {
            panic!("a message was not delivered: {error:#}");
        }
    }
}

/// The priority whose lane the clauses break.
const BROKEN: Priority = Priority::Info;
