//! One delivery that the listener holds, from its reception until the source has carried out its
//! settlement.

use std::sync::Arc;

use tokio::time::Instant;

use super::content::DeliveryContent;
use super::settlement::ReceiptResolver;

/// A delivery with its stage and its failures.
#[derive(Debug)]
pub(super) struct HeldDelivery {
    pub(super) content: Arc<DeliveryContent>,
    pub(super) stage: DeliveryStage,
    /// How often the program got the delivery.
    pub(super) attempts: u32,
    /// How often the program failed.
    pub(super) failures: u32,
    /// The failures that count: another delivery was acknowledged since the previous one.
    pub(super) counted: u32,
    /// The listener's number of acknowledgements at the last failure.
    pub(super) acks_seen: u64,
    /// The last reason of a failure.
    pub(super) reason: String,
}

/// The stage of a delivery.
#[derive(Debug)]
pub(super) enum DeliveryStage {
    /// It waits for the program to ask.
    Ready,
    /// The program has it.
    HandedOut,
    /// It failed, and waits for its next attempt.
    Waiting(Instant),
    /// The program acknowledged it; the source does not know yet.
    Acking(ReceiptResolver),
    /// It goes back to the source, which does not know yet.
    Releasing(Option<ReceiptResolver>),
    /// It waits until it is in the dead-letter file.
    Dying(Option<ReceiptResolver>),
    /// It is in the dead-letter file; the source does not know yet.
    Dead(Option<ReceiptResolver>),
}

impl DeliveryStage {
    /// Returns the receipt of the settlement, if the program asked for one.
    pub(super) fn into_receipt(self) -> Option<ReceiptResolver> {
        match self {
            Self::Acking(receipt) => Some(receipt),
            Self::Releasing(receipt) | Self::Dying(receipt) | Self::Dead(receipt) => receipt,
            Self::Ready | Self::HandedOut | Self::Waiting(_) => None,
        }
    }
}

impl HeldDelivery {
    /// Creates a delivery that is ready.
    pub(super) fn new(content: Arc<DeliveryContent>) -> Self {
        Self {
            content,
            stage: DeliveryStage::Ready,
            attempts: 0,
            failures: 0,
            counted: 0,
            acks_seen: 0,
            reason: String::new(),
        }
    }
}

/// A dead letter that waits for its line in the file.
#[derive(Clone, Debug)]
pub(super) struct DeadDelivery {
    pub(super) content: Arc<DeliveryContent>,
    pub(super) attempts: u32,
    pub(super) reason: String,
}
