//! Clauses about verdicts: each message gets its own, once.

use notify_core::Verdict;

use super::comparison::assert_same_bodies;
use crate::attempts::{deliver, send_once};
use crate::harness::{Capability, Harness};
use crate::samples;

/// The transport settles every message of a batch exactly once.
pub async fn settles_every_message_once<H: Harness>() {
    let harness = H::start().await;
    let mut transport = harness.transport();
    for size in [1, 2, 100, 1024] {
        // `send_once` panics when the transport settles a message twice.
        let attempt = send_once(transport.as_mut(), &samples::messages(0..size)).await;
        assert!(attempt.result.is_ok(), "{:?}", attempt.result);
        let accepted = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        assert!(attempt.verdicts.iter().all(accepted), "{:?}", attempt.verdicts);
    }
}

/// One refused message neither delays nor repeats the other messages of its batch.
///
/// Needs [`Capability::Refuse`].
pub async fn refuses_one_and_accepts_the_rest<H: Harness>() {
    if !Capability::Refuse.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let refused = samples::encode(&harness.refused_notification().await);
    let mut transport = harness.transport();
    let mut messages = samples::messages(1..21);
    messages.insert(10, refused.clone());
    // A transport may ask for a second attempt before it refuses: an unroutable message is worth
    // declaring its queue again.
    let mut verdicts = send_once(transport.as_mut(), &messages).await.verdicts;
    if matches!(verdicts[10], Some(Verdict::Retry(_))) {
        verdicts[10] = send_once(transport.as_mut(), &messages[10..=10]).await.verdicts.remove(0);
    }
    for (index, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Some(Verdict::Refuse(error)) if index == 10 => assert!(!error.to_string().is_empty()),
            Some(Verdict::Accept) if index != 10 => {}
            other => panic!("unexpected verdict of message {index}: {other:?}"),
        }
    }
    if Capability::ReadBack.is_supported_by::<H>() {
        messages.remove(10);
        assert_same_bodies(&harness.received().await, &messages);
    }
}

/// The transport asks for a retry while the destination declines messages, and delivers them later.
///
/// A full destination may still have room for one or two messages. Needs [`Capability::Retry`].
pub async fn asks_to_retry_while_the_destination_declines<H: Harness>() {
    if !Capability::Retry.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..30);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.start_declining().await;
    let attempt = send_once(transport.as_mut(), &messages[10..20]).await;
    let retries =
        attempt.verdicts.iter().filter(|verdict| matches!(verdict, Some(Verdict::Retry(_))));
    assert!(retries.count() >= 8, "expected at least 8 retries: {:?}", attempt.verdicts);
    let pending: Vec<_> = messages[10..20]
        .iter()
        .zip(&attempt.verdicts)
        .filter(|(_, verdict)| !matches!(verdict, Some(Verdict::Accept)))
        .map(|(message, _)| message.clone())
        .chain(messages[20..].iter().cloned())
        .collect();
    harness.stop_declining().await;
    deliver(transport.as_mut(), &pending).await;
}
