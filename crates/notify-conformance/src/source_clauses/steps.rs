//! Steps that the clauses share: receiving until a number of messages is there.

use std::time::Duration;

use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Reception, Source,
};
use tokio::time::timeout;

use crate::samples;
use crate::source_harness::SourceHarness;

/// A credit with room for everything that a clause publishes.
pub(super) const CREDIT: Credit = Credit { window: 1000, room: 1000, max_bytes: 1024 * 1024 };

/// The time after which a clause fails instead of waiting. It measures nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the bodies of the samples in a range of numbers.
pub(super) fn bodies(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    samples::messages(numbers).iter().map(|message| message.body().to_vec()).collect()
}

/// Waits until no source holds a connection or file on the place. A broker may count a connection for
/// a moment after it is closed.
pub(super) async fn wait_until_released<H: SourceHarness>(harness: &mut H) {
    let released = async {
        while harness.open_handles().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, released).await.expect("the source releases the place");
}

/// Receives until the source is attached.
pub(super) async fn attach(source: &mut dyn Source) {
    let credit = Credit { room: 0, ..CREDIT };
    loop {
        match timeout(PATIENCE, source.receive(credit)).await.expect("the source does not attach") {
            Ok(Reception::Attached) => return,
            Ok(Reception::Deliveries(_)) => panic!("handed over messages without room"),
            Ok(_) => {}
            Err(error) => assert!(error.is_transient(), "cannot attach: {error:#}"),
        }
    }
}

/// Receives until there are `count` deliveries.
pub(super) async fn receive(source: &mut dyn Source, count: usize) -> Vec<IncomingDelivery> {
    let mut deliveries: Vec<IncomingDelivery> = Vec::new();
    while deliveries.len() < count {
        let credit = Credit { room: CREDIT.room - deliveries.len(), ..CREDIT };
        let reception = timeout(PATIENCE, source.receive(credit)).await;
        let reception = reception.unwrap_or_else(|_| {
            panic!("the source handed over {} of {count} messages", deliveries.len())
        });
        match reception.expect("cannot receive") {
            Reception::Deliveries(more) => {
                assert!(!more.is_empty(), "handed over nothing");
                deliveries.extend(more);
            }
            Reception::End => panic!("the source ended after {} messages", deliveries.len()),
            Reception::Failed(error) => panic!("the source failed: {error:#}"),
            _ => {}
        }
    }
    assert!(deliveries.is_sorted_by(|a, b| a.tag < b.tag), "tags do not grow");
    deliveries
}

/// Acknowledges everything up to a tag.
pub(super) async fn ack_through(source: &mut dyn Source, tag: u64) {
    settle(source, &DeliverySettlements { through: Some(tag), ..Default::default() }).await;
}

/// Acknowledges single deliveries.
pub(super) async fn ack_each(source: &mut dyn Source, tags: Vec<u64>) {
    settle(source, &DeliverySettlements { acks: tags, ..Default::default() }).await;
}

/// Carries out settlements.
async fn settle(source: &mut dyn Source, settlements: &DeliverySettlements) {
    timeout(PATIENCE, source.settle(settlements))
        .await
        .expect("the source does not settle")
        .expect("cannot settle");
}

/// Returns the bytes of deliveries.
pub(super) fn received_bytes(deliveries: &[IncomingDelivery]) -> Vec<Vec<u8>> {
    let bytes = |delivery: &IncomingDelivery| match &delivery.body {
        IncomingBody::Bytes(bytes) => bytes.to_vec(),
        other => panic!("expected bytes, found {other:?}"),
    };
    deliveries.iter().map(bytes).collect()
}

/// Opens a source, attaches it and publishes these bodies.
pub(super) async fn attached_source<H: SourceHarness>(
    harness: &mut H,
    bodies: &[Vec<u8>],
) -> Box<dyn Source> {
    let mut source = harness.source().await;
    attach(source.as_mut()).await;
    harness.publish_bodies(bodies).await;
    source
}
