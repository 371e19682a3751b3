//! Several deliveries that the program settles together: [`DeliveryBatch`].

use super::delivery::Delivery;
use super::settlement::{Settlement, SettlementReceipt};
use crate::codec::message::Message;
use crate::codec::notification::Notification;

/// Deliveries that you settle together, or one by one by iterating over the batch.
///
/// Dropping a batch drops its deliveries, which counts as a failure of each.
///
/// # Examples
///
/// Commit first, then acknowledge:
///
/// ```
/// use notify_core::listener::DeliveryBatch;
/// # fn commit<'a>(_: impl Iterator<Item = &'a notify_core::Notification>) -> notify_core::Result<()> { Ok(()) }
///
/// async fn store(batch: DeliveryBatch) -> notify_core::Result<()> {
///     match commit(batch.notifications()) {
///         Ok(()) => batch.ack().await?,
///         Err(error) => batch.fail(error.to_string()).await?,
///     };
///     Ok(())
/// }
/// # drop(store);
/// ```
#[derive(Debug)]
#[must_use = "dropping a batch counts as a failure of its deliveries: settle it"]
pub struct DeliveryBatch(pub(super) Vec<Delivery>);

impl DeliveryBatch {
    /// Returns the number of deliveries, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the deliveries in the order of their reception, source by source.
    pub fn iter(&self) -> std::slice::Iter<'_, Delivery> {
        self.0.iter()
    }

    /// Returns the notifications of all readable deliveries, redacted.
    pub fn notifications(&self) -> impl Iterator<Item = &Notification> {
        self.0.iter().filter_map(Delivery::notification)
    }

    /// Returns the messages of all readable deliveries, redacted.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.0.iter().filter_map(Delivery::message)
    }

    /// Acknowledges all deliveries. See [`Delivery::ack`].
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`]. The result is stale if one delivery is.
    ///
    /// # Cancel safety
    ///
    /// The call settles the deliveries. You may drop the receipt.
    pub fn ack(mut self) -> SettlementReceipt {
        Delivery::settle_all(&mut self.0, || Settlement::Ack)
    }

    /// Gives all messages back to their sources. See [`Delivery::release`].
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`]. The result is stale if one delivery is.
    ///
    /// # Cancel safety
    ///
    /// The call settles the deliveries. You may drop the receipt.
    pub fn release(mut self) -> SettlementReceipt {
        Delivery::settle_all(&mut self.0, || Settlement::Release)
    }

    /// Reports that the work failed for `reason`, and asks for the deliveries again. See
    /// [`Delivery::fail`].
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`]. The result is stale if one delivery is.
    ///
    /// # Cancel safety
    ///
    /// The call settles the deliveries. You may drop the receipt.
    pub fn fail(mut self, reason: impl Into<String>) -> SettlementReceipt {
        let reason = reason.into();
        Delivery::settle_all(&mut self.0, || Settlement::Fail(reason.clone()))
    }

    /// Refuses the messages for good, for `reason`. See [`Delivery::refuse`].
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`]. The result is stale if one delivery is.
    ///
    /// # Cancel safety
    ///
    /// The call settles the deliveries. You may drop the receipt.
    pub fn refuse(mut self, reason: impl Into<String>) -> SettlementReceipt {
        let reason = reason.into();
        Delivery::settle_all(&mut self.0, || Settlement::Refuse(reason.clone()))
    }
}

/// Takes the batch apart, to settle its deliveries one by one.
impl IntoIterator for DeliveryBatch {
    type Item = Delivery;
    type IntoIter = std::vec::IntoIter<Delivery>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a DeliveryBatch {
    type Item = &'a Delivery;
    type IntoIter = std::slice::Iter<'a, Delivery>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
