//! The destination goes away, comes back, and stops answering.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Delivery, attempt, can, deliver, deliver_telling, within};
use crate::harness::{Capability, Harness};
use crate::samples;
use notify_core::{Message, Verdict};

/// A destination that is away at first is an error that passes, and is used once it is there.
pub async fn is_down_at_start_then_up<H: Harness>() {
    if !can::<H>(&[Capability::Restart]) {
        return;
    }
    let mut harness = H::start().await;
    harness.kill().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..10);
    let attempt = within("an error", attempt(transport.as_mut(), &messages)).await;
    let error = attempt.end.expect_err("nobody is there");
    assert!(error.is_transient(), "{error:#}");
    assert!(!attempt.verdicts.iter().any(|verdict| matches!(verdict, Some(Verdict::Accept))));
    harness.revive().await;
    let delivery = deliver(transport.as_mut(), &messages).await;
    arrived(&mut harness, &messages, &delivery).await;
}

/// A destination that is killed in the middle of a batch has everything that was accepted; nothing
/// that was accepted is sent again.
pub async fn killed_mid_batch_loses_nothing_accepted_and_repeats_nothing_confirmed<H: Harness>() {
    if !can::<H>(&[Capability::Restart]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20_000);
    deliver(transport.as_mut(), &messages[..1]).await;
    let accepted = AtomicUsize::new(0);
    let sending = deliver_telling(transport.as_mut(), &messages[1..], &accepted);
    let (delivery, ()) = tokio::join!(sending, async {
        for some in [2000, 10_000] {
            while accepted.load(Ordering::Relaxed) < some {
                tokio::task::yield_now().await;
            }
            harness.kill().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            harness.revive().await;
        }
    });
    assert!(delivery.failures > 0, "it was killed in the middle, and nobody noticed");
    let mut delivery = delivery;
    delivery.unsure.insert(0, false);
    println!("{} attempts failed", delivery.failures);
    arrived(&mut harness, &messages, &delivery).await;
}

/// A destination that was restarted between two batches is connected to anew.
pub async fn survives_a_restart_between_batches<H: Harness>() {
    if !can::<H>(&[Capability::Restart]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.kill().await;
    harness.revive().await;
    let mut delivery = deliver(transport.as_mut(), &messages[10..]).await;
    delivery.unsure.splice(0..0, vec![false; 10]);
    arrived(&mut harness, &messages, &delivery).await;
}

/// A send that hangs can be dropped; the transport is as good as before.
pub async fn a_stalled_send_can_be_dropped<H: Harness>() {
    if !can::<H>(&[Capability::Stall]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.stall().await;
    let hanging = attempt(transport.as_mut(), &messages[10..]);
    let hanging = tokio::time::timeout(Duration::from_millis(500), hanging).await;
    assert!(hanging.is_err(), "a destination that does not answer cannot have accepted");
    harness.thaw().await;
    let mut delivery = deliver(transport.as_mut(), &messages[10..]).await;
    delivery.unsure.fill(true);
    delivery.unsure.splice(0..0, vec![false; 10]);
    arrived(&mut harness, &messages, &delivery).await;
}

/// Every message is there, byte by byte; and once, unless an attempt left open if it was taken.
async fn arrived<H: Harness>(harness: &mut H, messages: &[Message], delivery: &Delivery) {
    if !can::<H>(&[Capability::Keep]) {
        return;
    }
    let received = harness.received().await;
    let mut copies: HashMap<&[u8], usize> = HashMap::new();
    for received in &received {
        *copies.entry(&received.body).or_default() += 1;
    }
    for (message, &unsure) in messages.iter().zip(&delivery.unsure) {
        let copies = copies.remove(message.body()).unwrap_or(0);
        assert!(copies > 0, "{:?} was accepted and is not there", message.id());
        assert!(
            copies == 1 || unsure,
            "{:?} was confirmed and is there {copies} times",
            message.id()
        );
    }
    assert!(copies.is_empty(), "{} bodies are there that nobody sent", copies.len());
}
