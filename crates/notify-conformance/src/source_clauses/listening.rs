//! Clauses about a listener on top of the source: settlements have their effect.

use std::collections::BTreeMap;
use std::time::Duration;

use notify_core::listener::{DeadLetters, Delivery, Listener, ListenerConfig};
use notify_core::source::Source;
use tokio::time::timeout;

use super::steps::{PATIENCE, attached_source, bodies, wait_until_released};
use crate::samples;
use crate::source_harness::{SourceCapability, SourceHarness};

/// Undecodable and failing messages delay the good ones behind them by a bounded number of deliveries,
/// and end as dead letters.
pub async fn poison_neither_blocks_nor_loops<H: SourceHarness>() {
    let mut harness = H::start().await;
    let mut published: Vec<_> = (0..20).map(|n| format!("poison {n}").into_bytes()).collect();
    published.extend(bodies(0..25));
    let failing: Vec<_> = samples::messages(0..5).iter().map(notify_core::Message::id).collect();
    let source = attached_source(&mut harness, &published).await;
    let mut config = ListenerConfig::default();
    (config.prefetch, config.attempts) = (10, 2);
    let mut listener = start(source, config);
    let (mut handed_out, mut good) = (0, 0);
    let mut more = 25;
    loop {
        let delivery = next(&mut listener).await;
        handed_out += 1;
        let id = delivery.message().expect("poison was handed out").id();
        if failing.contains(&id) {
            drop(delivery.fail("always"));
        } else {
            good += 1;
            delivery.ack().await.expect("cannot acknowledge");
        }
        if good == 20 {
            assert!(handed_out <= 100, "20 good messages took {handed_out} deliveries");
        }
        if listener.stats().total.dead_lettered == 25 {
            break;
        }
        if good >= 20 {
            // Failures count only while something succeeds.
            harness.publish_bodies(&bodies(more..more + 1)).await;
            more += 1;
        }
    }
    let stats = listener.close(PATIENCE).await.total;
    assert_eq!((stats.dead_lettered, stats.unreadable), (25, 20));
}

/// A delivery that is released comes again.
pub async fn a_release_returns<H: SourceHarness>() {
    let mut harness = H::start().await;
    let source = attached_source(&mut harness, &bodies(0..3)).await;
    let mut listener = start(source, ListenerConfig::default());
    let first = next(&mut listener).await;
    let id = first.message().expect("unreadable").id();
    first.release().await.expect("cannot release");
    settle_all(&mut listener, 3, |message| message == id).await;
}

/// A delivery that is dropped comes again, after a wait.
pub async fn a_dropped_delivery_comes_again<H: SourceHarness>() {
    let mut harness = H::start().await;
    let source = attached_source(&mut harness, &bodies(0..3)).await;
    let mut listener = start(source, ListenerConfig::default());
    let first = next(&mut listener).await;
    let id = first.message().expect("unreadable").id();
    drop(first);
    assert_eq!(listener.stats().total.failed, 1);
    settle_all(&mut listener, 3, |message| message == id).await;
}

/// A listener that closes gives back the unsettled deliveries, and the account says so.
///
/// Needs [`SourceCapability::Resume`].
pub async fn close_gives_back_what_is_held<H: SourceHarness>() {
    if !SourceCapability::Resume.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let source = attached_source(&mut harness, &bodies(0..10)).await;
    let mut listener = start(source, ListenerConfig::default());
    for _ in 0..4 {
        next(&mut listener).await.ack().await.expect("cannot acknowledge");
    }
    let forgotten = next(&mut listener).await;
    let stats = listener.close(Duration::ZERO).await.total;
    assert_eq!((stats.acked, stats.held, stats.lost, stats.dead_lettered), (4, 0, 0, 0));
    assert_eq!(stats.received, 4 + stats.released);
    drop(forgotten);
    assert_eq!(harness.unacknowledged().await, 6);
    wait_until_released(&mut harness).await;

    let source = harness.source().await;
    let mut listener = start(source, ListenerConfig::default());
    settle_all(&mut listener, 6, |_| true).await;
    drop(listener.close(PATIENCE).await);
    assert_eq!(harness.unacknowledged().await, 0);
}

/// A tap takes nothing from the other consumers of a shared queue.
///
/// Needs [`SourceCapability::Tap`].
pub async fn a_tap_leaves_the_shared_queue_unchanged<H: SourceHarness>() {
    if !SourceCapability::Tap.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let source = attached_source(&mut harness, &bodies(0..30)).await;
    let mut listener = start(source, ListenerConfig::default());
    settle_all(&mut listener, 30, |_| true).await;
    drop(listener.close(PATIENCE).await);
    assert_eq!(harness.shared_queue().await, 30);
    wait_until_released(&mut harness).await;
}

/// Starts a listener that discards dead letters.
fn start(source: Box<dyn Source>, config: ListenerConfig) -> Listener {
    Listener::builder(source, DeadLetters::Discard)
        .config(config)
        .start()
        .expect("cannot start the listener")
}

/// Returns the next delivery.
async fn next(listener: &mut Listener) -> Delivery {
    let next = timeout(PATIENCE, listener.next_delivery()).await;
    let next = next.unwrap_or_else(|_| panic!("a message is missing: {:?}", listener.stats()));
    next.expect("cannot read").expect("the source ended")
}

/// Acknowledges deliveries until there were `count` messages, of which at least one satisfies `wanted`.
async fn settle_all(listener: &mut Listener, count: usize, wanted: impl Fn(uuid::Uuid) -> bool) {
    let mut seen = BTreeMap::new();
    while seen.len() < count {
        let delivery = next(listener).await;
        let id = delivery.message().expect("unreadable").id();
        *seen.entry(id).or_insert(0) += 1;
        delivery.ack().await.expect("cannot acknowledge");
    }
    assert!(seen.keys().any(|id| wanted(*id)), "the message did not come again");
    assert!(seen.values().all(|times| *times == 1), "an acknowledged message came again");
}
