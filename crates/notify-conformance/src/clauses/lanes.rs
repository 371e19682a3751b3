//! Clauses about lanes: what one queue behind the destination does not take delays no other.
//!
//! These clauses run the transport under a real notifier, because the pipeline and the transport keep
//! the promise together.

use std::collections::HashMap;

use notify_core::pipeline::{Receipt, Stats};
use notify_core::{Message, Notifier, Priority};

use super::comparison::assert_same_bodies;
use super::waiting::within;
use crate::harness::{Capability, Harness, LaneFault, ReceivedMessage};
use crate::samples;

/// While one of three lanes is full, the 8 000 messages of the others arrive, each lane in order. Once it
/// has room, its 4 000 messages arrive too, in order but for those that were set aside.
///
/// Needs [`Capability::FullLane`].
pub async fn a_failing_lane_delays_no_other<H: Harness>() {
    if !Capability::FullLane.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let messages = samples::messages(0..12_000);
    let all = deliver_past_a_fault(&mut harness, LaneFault::Full, &messages, &[]).await;
    if Capability::ReadBack.is_supported_by::<H>() {
        let received = harness.received().await;
        assert_same_bodies(&received, &all);
        if Capability::Metadata.is_supported_by::<H>() {
            assert_lanes_in_order(&received, &all);
        }
    }
}

/// A lane that gives no answer delays the others once. Until it answers again, they go on. The transport
/// makes a duplicate for that lane, or asks to retry its messages.
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
/// repairs the lane. Returns all messages that it delivered.
async fn deliver_past_a_fault<H: Harness>(
    harness: &mut H,
    fault: LaneFault,
    messages: &[Message],
    later: &[Message],
) -> Vec<Message> {
    let builder = Notifier::builder(harness.transport());
    let (notifier, worker) = match builder.publisher_id("host1").build() {
        Ok(built) => built,
        Err(error) => panic!("cannot build a notifier: {error:#}"),
    };
    let clause = async {
        // The destination declares its queues with the first message.
        let first = samples::messages(20_000..20_003);
        within("the first messages", relay_all(&notifier, &first)).await;
        harness.set_lane_fault(BROKEN, Some(fault)).await;
        let mut broken = Vec::new();
        within("the messages of the other lanes", async {
            let mut others = Vec::new();
            for message in messages {
                let receipt = notifier.relay(message.clone()).await;
                if message.priority() == BROKEN { &mut broken } else { &mut others }.push(receipt);
            }
            accepted(others).await;
        })
        .await;
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
        first.iter().chain(messages).chain(&later).cloned().collect()
    };
    tokio::join!(worker.run(), clause).1
}

/// Asserts that each lane received its messages in order, but for the few of the broken lane that a notifier
/// sets aside.
fn assert_lanes_in_order(received: &[ReceivedMessage], messages: &[Message]) {
    let places: HashMap<&[u8], usize> =
        messages.iter().enumerate().map(|(place, message)| (message.body(), place)).collect();
    for &priority in Priority::DOCUMENTED {
        let is_of_lane = |it: &&ReceivedMessage| {
            it.metadata.as_ref().is_some_and(|metadata| metadata.priority == priority)
        };
        let arrived: Vec<_> =
            received.iter().filter(is_of_lane).map(|it| places[it.body.as_slice()]).collect();
        let out_of_order = arrived.windows(2).filter(|pair| pair[0] > pair[1]).count();
        let allowed = if priority == BROKEN { SET_ASIDE } else { 0 };
        assert!(
            out_of_order <= allowed,
            "{out_of_order} messages of the priority {} arrived out of order",
            priority.as_str()
        );
    }
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
/// The most messages that may arrive out of order after the repair.
const SET_ASIDE: usize = 64;
