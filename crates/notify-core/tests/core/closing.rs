//! How a notifier ends: what is told to whom, and by when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::event;
use async_trait::async_trait;
use notify_conformance::scripted::{Act, Attempt, End, Script};
use notify_core::*;
use tokio::time::Instant;

fn create() -> Event {
    event(EventType::ImageCreate, Priority::Info)
}

/// Takes everything, and a while to close.
#[derive(Debug)]
struct SlowToClose(Arc<AtomicBool>);

#[async_trait]
impl Transport for SlowToClose {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// A program that ends after `shutdown` must not cut its connection in the middle of a farewell.
#[tokio::test(start_paused = true)]
async fn shutdown_waits_until_the_transport_is_closed() {
    let closed = Arc::new(AtomicBool::new(false));
    let transport = Box::new(SlowToClose(Arc::clone(&closed)));
    let (notifier, worker) = Notifier::builder(transport).build().unwrap();
    tokio::spawn(worker.run());
    let stats = notifier.shutdown(Duration::from_secs(1)).await;
    assert!(closed.load(Ordering::SeqCst));
    assert_eq!(stats.state, State::Closed);
}

/// The time to drain runs from the first `close`, whoever closes again or goes away after it.
#[tokio::test(start_paused = true)]
async fn closing_again_gives_no_more_time() {
    let script = Script::default();
    script.set_stalled(true);
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    let receipt = notifier.emit(&create());
    tokio::spawn(worker.run());
    let start = Instant::now();
    notifier.close();
    tokio::time::sleep(Duration::from_secs(4)).await;
    notifier.close();
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(notifier);
    assert_eq!(receipt.await.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

/// Whoever shuts down has less patience than whoever closed: the worker does not sleep through it.
#[tokio::test(start_paused = true)]
async fn shutdown_cuts_short_a_longer_time_to_drain() {
    let script = Script::default();
    for _ in 0..100 {
        script.then(Attempt { acts: vec![Act::Leave], end: End::Permanent });
    }
    let (notifier, worker) = Notifier::builder(script.transport())
        .drain_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    drop(notifier.emit(&create()));
    tokio::spawn(worker.run());
    notifier.close();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    let stats = notifier.shutdown(Duration::ZERO).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((stats.dropped.abandoned, stats.state), (1, State::Closed));
}

/// There will be no room any more, so nobody waits for it.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_is_told_at_once() {
    let script = Script::default();
    script.set_stalled(true);
    let mut queue = QueueConfig::default();
    queue.max_messages = 1;
    let (notifier, worker) = Notifier::builder(script.transport()).queue(queue).build().unwrap();
    tokio::spawn(worker.run());
    let first = notifier.emit(&create());
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let notifier = notifier.clone();
            tokio::spawn(async move { notifier.enqueue(&create()).await.await })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    notifier.close();
    for task in waiting {
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(first);
}
