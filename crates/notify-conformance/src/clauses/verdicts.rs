//! Each message gets its own verdict, once.

use notify_core::Verdict;

use super::{attempt, bodies, can, deliver};
use crate::harness::{Capability, Harness};
use crate::samples;

/// Every message of a batch is settled, and none twice.
pub async fn settles_every_message_once<H: Harness>() {
    let harness = H::start().await;
    let mut transport = harness.transport();
    for size in [1, 2, 100, 1024] {
        // `attempt` checks that none is settled twice.
        let attempt = attempt(transport.as_mut(), &samples::messages(0..size)).await;
        assert!(attempt.end.is_ok(), "{:?}", attempt.end);
        let accepted = |verdict: &Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        assert!(attempt.verdicts.iter().all(accepted), "{:?}", attempt.verdicts);
    }
}

/// One message that the destination will never take does not keep its neighbours from it, and is
/// not sent twice for them.
pub async fn refuses_one_and_accepts_the_rest<H: Harness>() {
    if !can::<H>(&[Capability::Refuse]) {
        return;
    }
    let mut harness = H::start().await;
    let refused = samples::encode(&harness.refusable().await);
    let mut transport = harness.transport();
    let mut messages = samples::messages(1..21);
    messages.insert(10, refused.clone());
    // A refusal may take a second attempt: unroutable once is worth declaring the route anew.
    let mut verdicts = attempt(transport.as_mut(), &messages).await.verdicts;
    if matches!(verdicts[10], Some(Verdict::Retry(_))) {
        verdicts[10] = attempt(transport.as_mut(), &messages[10..=10]).await.verdicts.remove(0);
    }
    for (index, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Some(Verdict::Refuse(error)) if index == 10 => assert!(!error.to_string().is_empty()),
            Some(Verdict::Accept) if index != 10 => {}
            other => panic!("message {index}: {other:?}"),
        }
    }
    if can::<H>(&[Capability::Keep]) {
        messages.remove(10);
        let received = harness.received().await;
        let mut received: Vec<_> =
            received.iter().map(|received| received.body.as_slice()).collect();
        let mut sent = bodies(&messages);
        received.sort_unstable();
        sent.sort_unstable();
        assert!(received == sent, "{} arrived, {} were sent", received.len(), sent.len());
    }
}

/// What the destination does not take now is said to be worth another try, and goes through later.
pub async fn retries_what_was_not_taken<H: Harness>() {
    if !can::<H>(&[Capability::Retry]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..30);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.push_back().await;
    let attempt = attempt(transport.as_mut(), &messages[10..20]).await;
    // A destination may have room for a last one or two.
    let retried =
        attempt.verdicts.iter().filter(|verdict| matches!(verdict, Some(Verdict::Retry(_))));
    assert!(retried.count() >= 8, "{:?}", attempt.verdicts);
    let left: Vec<_> = messages[10..20]
        .iter()
        .zip(&attempt.verdicts)
        .filter(|(_, verdict)| !matches!(verdict, Some(Verdict::Accept)))
        .map(|(message, _)| message.clone())
        .chain(messages[20..].iter().cloned())
        .collect();
    harness.relent().await;
    deliver(transport.as_mut(), &left).await;
}
