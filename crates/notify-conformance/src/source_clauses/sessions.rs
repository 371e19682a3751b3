//! Clauses about sessions: nothing is lost, and acknowledged messages do not come again.

use std::pin::pin;
use std::task::{Context, Waker};

use notify_core::source::{Reception, SettlementMode};
use tokio::time::timeout;

use super::steps::{
    CREDIT, PATIENCE, ack_each, ack_through, attach, attached_source, bodies, receive,
    received_bytes, wait_until_released,
};
use crate::source_harness::{SourceCapability, SourceHarness};

/// A source that is closed in order continues with the first message that is not acknowledged.
///
/// Needs [`SourceCapability::Resume`].
pub async fn acknowledged_messages_come_only_once<H: SourceHarness>() {
    if !SourceCapability::Resume.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let published = bodies(0..20);
    let mut source = attached_source(&mut harness, &published).await;
    let deliveries = receive(source.as_mut(), 20).await;
    ack_through(source.as_mut(), deliveries[11].tag).await;
    source.close().await.expect("cannot close");
    drop(source);
    wait_until_released(&mut harness).await;

    let mut source = harness.source().await;
    attach(source.as_mut()).await;
    let deliveries = receive(source.as_mut(), 8).await;
    assert_eq!(received_bytes(&deliveries), published[12..]);
    ack_through(source.as_mut(), deliveries[7].tag).await;
    source.close().await.expect("cannot close");
    assert_eq!(harness.unacknowledged().await, 0);
}

/// A single acknowledgement settles its own message: those before it, and those behind it, come again.
///
/// Needs [`SourceCapability::Resume`] and a source of the mode [`SettlementMode::Individual`].
pub async fn single_acknowledgements_settle_nothing_else<H: SourceHarness>() {
    if !SourceCapability::Resume.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let published = bodies(0..5);
    let mut source = attached_source(&mut harness, &published).await;
    if source.settlement_mode() != SettlementMode::Individual {
        println!("does not apply: the source settles by a watermark");
        return;
    }
    let deliveries = receive(source.as_mut(), 5).await;
    ack_each(source.as_mut(), vec![deliveries[1].tag, deliveries[3].tag]).await;
    source.close().await.expect("cannot close");
    drop(source);
    wait_until_released(&mut harness).await;
    let left = harness.unacknowledged().await;
    assert_eq!(left, 3, "2 of 5 messages are acknowledged, and {left} are left");

    let mut source = harness.source().await;
    attach(source.as_mut()).await;
    let deliveries = receive(source.as_mut(), 3).await;
    let rest = [0, 2, 4].map(|index: usize| published[index].clone());
    assert_eq!(received_bytes(&deliveries), rest);
    ack_through(source.as_mut(), deliveries[2].tag).await;
    source.close().await.expect("cannot close");
    assert_eq!(harness.unacknowledged().await, 0);
}

/// A source that is dropped after any number of steps leaves everything that it did not acknowledge.
///
/// Needs [`SourceCapability::Resume`].
pub async fn nothing_is_lost_by_a_kill_at_any_point<H: SourceHarness>() {
    if !SourceCapability::Resume.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let published = bodies(0..40);
    drop(attached_source(&mut harness, &published).await);
    let mut acked = 0;
    for steps in 1.. {
        wait_until_released(&mut harness).await;
        let left = harness.unacknowledged().await;
        // A kill may take along an acknowledgement that is on its way. Then a message comes again.
        assert!(left >= published.len() - acked, "{acked} are acknowledged, and {left} are left");
        if left == 0 {
            break;
        }
        let mut source = harness.source().await;
        attach(source.as_mut()).await;
        let deliveries = receive(source.as_mut(), left.min(steps)).await;
        let handed_over = received_bytes(&deliveries);
        let first = published.len() - left;
        assert_eq!(handed_over[..], published[first..first + handed_over.len()]);
        // An odd step is killed before its acknowledgement, an even one after half of it.
        if steps % 2 == 0 {
            let half = handed_over.len().div_ceil(2);
            ack_through(source.as_mut(), deliveries[half - 1].tag).await;
            acked = first + half;
        }
        drop(source);
    }
}

/// A call of `receive` that is dropped takes no message with it.
pub async fn a_receive_can_be_dropped_at_any_point<H: SourceHarness>() {
    let mut harness = H::start().await;
    let published = bodies(0..50);
    let mut source = harness.source().await;
    attach(source.as_mut()).await;
    let mut handed_over = Vec::new();
    for body in &published {
        harness.publish_bodies(std::slice::from_ref(body)).await;
        // One poll each, with time for the source's own threads in between.
        let polled = {
            let mut receive = pin!(source.receive(CREDIT));
            match receive.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Ready(reception) => Some(reception),
                std::task::Poll::Pending => None,
            }
        };
        if let Some(Ok(Reception::Deliveries(deliveries))) = polled {
            handed_over.extend(deliveries);
        }
        tokio::task::yield_now().await;
    }
    let rest = published.len() - handed_over.len();
    handed_over.extend(receive(source.as_mut(), rest).await);
    assert_eq!(received_bytes(&handed_over), published);
}

/// After its session ended from outside, a source reports it, attaches again, and hands over the
/// deliveries without an acknowledgement.
///
/// Needs [`SourceCapability::BreakSession`].
pub async fn an_error_starts_a_new_session<H: SourceHarness>() {
    if !SourceCapability::BreakSession.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let published = bodies(0..10);
    let mut source = attached_source(&mut harness, &published).await;
    let deliveries = receive(source.as_mut(), 10).await;
    ack_through(source.as_mut(), deliveries[3].tag).await;
    harness.break_session().await;
    loop {
        match timeout(PATIENCE, source.receive(CREDIT)).await.expect("nothing reports the end") {
            Ok(_) => {}
            Err(error) => {
                assert!(error.is_transient(), "{error:#}");
                break;
            }
        }
    }
    attach(source.as_mut()).await;
    let handed_over = received_bytes(&receive(source.as_mut(), 6).await);
    // The end of the session may take along acknowledgements that are on their way.
    let first = published.iter().position(|body| *body == handed_over[0]);
    let first = first.expect("the first delivery is one of the published");
    assert!(first <= 4, "the deliveries begin with number {first}");
    assert_eq!(handed_over[..], published[first..first + handed_over.len()]);
}
