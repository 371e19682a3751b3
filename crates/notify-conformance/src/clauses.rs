//! The contract of [`Transport`], clause by clause.

mod delivery;
mod faults;
mod release;
mod verdicts;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_core::transport::Settlements;
use notify_core::{Batch, Message, Result, Transport, Verdict};

pub use delivery::*;
pub use faults::*;
pub use release::*;
pub use verdicts::*;

use crate::harness::{Capability, Harness};

/// Whether the harness can do what a clause needs. Prints the reason where it cannot.
fn can<H: Harness>(needed: &[Capability]) -> bool {
    let missing = H::CANNOT.iter().find(|(capability, _)| needed.contains(capability));
    if let Some((capability, reason)) = missing {
        println!("does not apply: this destination cannot {capability:?}: {reason}");
    }
    missing.is_none()
}

/// What came of one attempt: its end, and each message's verdict.
struct Attempt {
    end: Result<()>,
    verdicts: Vec<Option<Verdict>>,
}

/// Tries once, and checks that no message is settled twice and none after `Ok` is left over.
async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> Attempt {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            let before = verdicts[index].replace(verdict);
            assert!(before.is_none(), "message {index} was settled twice");
        }
    };
    let end = transport.send(&mut Batch::new(messages, &mut sink)).await;
    if end.is_ok() {
        let left = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        assert_eq!(left, 0, "`Ok`, but {left} of {} messages unsettled", messages.len());
    }
    Attempt { end, verdicts }
}

/// What came of trying until every message was taken.
struct Delivery {
    /// Messages, by index, of which some attempt left open if they were taken: they may be there
    /// twice.
    unsure: Vec<bool>,
    failures: usize,
}

/// Tries until every message is accepted, as the worker does.
async fn deliver(transport: &mut dyn Transport, messages: &[Message]) -> Delivery {
    deliver_telling(transport, messages, &AtomicUsize::new(0)).await
}

/// The same, counting in `accepted` as it goes.
async fn deliver_telling(
    transport: &mut dyn Transport,
    messages: &[Message],
    accepted: &AtomicUsize,
) -> Delivery {
    let mut delivery = Delivery { unsure: vec![false; messages.len()], failures: 0 };
    let mut left: Vec<usize> = (0..messages.len()).collect();
    within("every message to be accepted", async {
        while !left.is_empty() {
            let batch: Vec<Message> =
                left.iter().take(1024).map(|&index| messages[index].clone()).collect();
            let Attempt { end, verdicts } = attempt(transport, &batch).await;
            let mut verdicts = verdicts.into_iter();
            left.retain(|&index| match verdicts.next() {
                Some(Some(Verdict::Accept)) => false,
                Some(Some(Verdict::Retry(_))) | None => true,
                Some(Some(Verdict::Refuse(error))) => panic!("message {index} refused: {error:#}"),
                Some(None) => {
                    delivery.unsure[index] = true;
                    true
                }
            });
            accepted.store(messages.len() - left.len(), Ordering::Relaxed);
            if let Err(error) = end {
                assert!(error.is_transient(), "the destination will be back: {error:#}");
                delivery.failures += 1;
            }
            if !left.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    delivery
}

/// Waits for `what`, a minute and a half at most: a broker may take half a minute to come back.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(90), future).await {
        Ok(output) => output,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Waits until nothing holds on to the destination.
async fn released<H: Harness>(harness: &mut H) {
    within("the destination to be released", async {
        while harness.holders().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn bodies(messages: &[Message]) -> Vec<&[u8]> {
    messages.iter().map(Message::body).collect()
}
