//! Settlements of deliveries by the program, and the receipts that say when they are carried out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// The decision of the program about one delivery.
#[derive(Debug)]
pub(super) enum Settlement {
    /// The work is done.
    Ack,
    /// Any consumer may have the delivery again.
    Release,
    /// The work failed for this reason: try again, at most `ListenerConfig::attempts` times.
    Fail(String),
    /// The work can never succeed, for this reason.
    Refuse(String),
}

/// The result of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettlementOutcome {
    /// The source has carried out the settlement.
    Settled,
    /// The connection went before the settlement arrived, or the listener has given the delivery back
    /// already. The message comes again, to this consumer or to another one.
    Stale,
}

/// The future result of a settlement.
///
/// The listener knows of the settlement before the call that returns this future ends. Await it to
/// learn when the source has carried it out.
///
/// The receipt of [`refuse`](super::Delivery::refuse) also waits for the dead-letter file, without an end while
/// the file is full or its disk hangs: reading pauses then, and the log says so.
///
/// # Errors
///
/// The output is an error of the kind [`ErrorKind::Closed`] if the listener ended first. The message
/// comes again.
///
/// # Cancel safety
///
/// You may drop this future at any time: the listener carries out the settlement anyway.
#[derive(Debug)]
pub struct SettlementReceipt(oneshot::Receiver<Result<SettlementOutcome>>);

impl Future for SettlementReceipt {
    type Output = Result<SettlementOutcome>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).unwrap_or_else(|_| Err(closed())))
    }
}

/// The listener's side of one receipt, which one or more deliveries share.
///
/// The last clone that is dropped resolves the receipt.
#[derive(Clone, Debug)]
pub(super) struct ReceiptResolver(Arc<ReceiptCounts>);

/// The results so far of the deliveries that share a receipt.
#[derive(Debug)]
struct ReceiptCounts {
    unresolved: AtomicUsize,
    stale: AtomicUsize,
    sender: Option<oneshot::Sender<Result<SettlementOutcome>>>,
}

impl ReceiptResolver {
    /// Creates the receipt of `deliveries` settlements, and its resolver.
    pub(super) fn new(deliveries: usize) -> (Self, SettlementReceipt) {
        let (sender, receiver) = oneshot::channel();
        let counts = ReceiptCounts {
            unresolved: AtomicUsize::new(deliveries),
            stale: AtomicUsize::new(0),
            sender: Some(sender),
        };
        (Self(Arc::new(counts)), SettlementReceipt(receiver))
    }

    /// Reports the result of one delivery.
    pub(super) fn resolve(self, outcome: SettlementOutcome) {
        self.0.unresolved.fetch_sub(1, Ordering::Relaxed);
        if outcome == SettlementOutcome::Stale {
            self.0.stale.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends the result of all deliveries together.
impl Drop for ReceiptCounts {
    fn drop(&mut self) {
        let result = if *self.unresolved.get_mut() > 0 {
            Err(closed())
        } else if *self.stale.get_mut() > 0 {
            Ok(SettlementOutcome::Stale)
        } else {
            Ok(SettlementOutcome::Settled)
        };
        if let Some(sender) = self.sender.take() {
            // Nothing waits for a receipt that was dropped.
            drop(sender.send(result));
        }
    }
}

/// Returns the error of a settlement that the listener did not carry out.
fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the listener ended before it settled the delivery: the message comes again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(resolve: impl FnOnce(ReceiptResolver)) -> Result<SettlementOutcome> {
        let (resolver, receipt) = ReceiptResolver::new(2);
        resolve(resolver);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(receipt)
    }

    /// One stale delivery makes the result of its batch stale, and a listener that ends is an error.
    #[test]
    fn a_receipt_resolves_to_the_worst_result() {
        use SettlementOutcome::{Settled, Stale};
        let resolve_both = |first, second| {
            outcome(move |resolver| {
                resolver.clone().resolve(first);
                resolver.resolve(second);
            })
        };
        assert_eq!(resolve_both(Settled, Settled).unwrap(), Settled);
        assert_eq!(resolve_both(Settled, Stale).unwrap(), Stale);
        let error = outcome(|resolver| resolver.clone().resolve(Settled)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}
