//! Clauses about faults: the destination goes away, comes back and stops answering.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_core::Verdict;

use super::comparison::assert_all_arrived;
use super::waiting::within;
use crate::attempts::{deliver, deliver_counting, send_once};
use crate::harness::{Capability, Harness};
use crate::samples;

/// A destination that is down causes a transient error; once it is up, the same transport delivers.
///
/// Needs [`Capability::Restart`].
pub async fn connects_once_the_destination_comes_up<H: Harness>() {
    if !Capability::Restart.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    harness.kill().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..10);
    let attempt = within("an error", send_once(transport.as_mut(), &messages)).await;
    let error = attempt.result.expect_err("`send` returned `Ok` while the destination was down");
    assert!(error.is_transient(), "expected a transient error, got: {error:#}");
    assert!(!attempt.verdicts.iter().any(|verdict| matches!(verdict, Some(Verdict::Accept))));
    harness.restart().await;
    let report = deliver(transport.as_mut(), &messages).await;
    assert_all_arrived(&mut harness, &messages, &report).await;
}

/// A destination that dies in the middle of a batch keeps every accepted message, and the transport
/// sends none of those again.
///
/// Needs [`Capability::Restart`].
pub async fn a_kill_mid_batch_loses_and_repeats_nothing_accepted<H: Harness>() {
    if !Capability::Restart.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20_000);
    deliver(transport.as_mut(), &messages[..1]).await;
    let accepted = AtomicUsize::new(0);
    let sending = deliver_counting(transport.as_mut(), &messages[1..], &accepted);
    let (mut report, ()) = tokio::join!(sending, async {
        for threshold in [2000, 10_000] {
            while accepted.load(Ordering::Relaxed) < threshold {
                tokio::task::yield_now().await;
            }
            harness.kill().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            harness.restart().await;
        }
    });
    assert!(
        !report.errors.is_empty(),
        "no attempt failed although the destination was killed twice"
    );
    report.may_be_repeated.insert(0, false);
    println!("{} attempts failed", report.errors.len());
    assert_all_arrived(&mut harness, &messages, &report).await;
}

/// The transport connects again to a destination that restarted between two batches.
///
/// Needs [`Capability::Restart`].
pub async fn reconnects_after_a_restart_between_batches<H: Harness>() {
    if !Capability::Restart.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.kill().await;
    harness.restart().await;
    let mut report = deliver(transport.as_mut(), &messages[10..]).await;
    report.may_be_repeated.splice(0..0, vec![false; 10]);
    assert_all_arrived(&mut harness, &messages, &report).await;
}

/// Dropping a `send` that hangs leaves the transport usable, as the worker's attempt timeout needs.
///
/// Needs [`Capability::Stall`].
pub async fn a_stalled_send_can_be_dropped<H: Harness>() {
    if !Capability::Stall.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..20);
    deliver(transport.as_mut(), &messages[..10]).await;
    harness.stall().await;
    let stalled = send_once(transport.as_mut(), &messages[10..]);
    // A transport with a shorter deadline of its own reports an error, or asks to retry the messages.
    if let Ok(report) = tokio::time::timeout(Duration::from_millis(500), stalled).await {
        let is_open = |verdict: &Option<Verdict>| matches!(verdict, None | Some(Verdict::Retry(_)));
        assert!(
            report.verdicts.iter().all(is_open),
            "`send` accepted or refused messages although the destination does not answer"
        );
    }
    harness.resume().await;
    let mut report = deliver(transport.as_mut(), &messages[10..]).await;
    report.may_be_repeated.fill(true);
    report.may_be_repeated.splice(0..0, vec![false; 10]);
    assert_all_arrived(&mut harness, &messages, &report).await;
}
