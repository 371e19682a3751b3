//! Clauses about content: messages come in order and byte for byte, within the credit.

use notify_core::listener::{DeadLetters, Listener, ListenerConfig};
use notify_core::source::{Credit, IncomingBody, Reception};
use tokio::time::timeout;

use super::steps::{
    CREDIT, PATIENCE, ack_through, attached_source, bodies, receive, received_bytes,
};
use crate::samples;
use crate::source_harness::{SourceCapability, SourceHarness};

/// Messages come in the order in which they were published, byte for byte.
pub async fn hands_over_in_order<H: SourceHarness>() {
    let mut harness = H::start().await;
    let published = bodies(0..200);
    let mut source = attached_source(&mut harness, &published).await;
    let deliveries = receive(source.as_mut(), published.len()).await;
    assert_eq!(received_bytes(&deliveries), published);
}

/// A source hands over no more than there is room for, and marks a body beyond the limit without its
/// bytes.
pub async fn keeps_to_the_credit<H: SourceHarness>() {
    let mut harness = H::start().await;
    let mut published = bodies(0..10);
    published[4] = vec![b'x'; 4096];
    let mut source = attached_source(&mut harness, &published).await;
    let mut next = 0;
    while next < published.len() {
        let credit = Credit { window: 3, room: 3, max_bytes: 2048 };
        let reception = timeout(PATIENCE, source.receive(credit)).await.expect("no message comes");
        let Reception::Deliveries(deliveries) = reception.expect("cannot receive") else {
            continue;
        };
        assert!(deliveries.len() <= 3, "more deliveries than there is room for");
        let last = deliveries.last().expect("no delivery").tag;
        for delivery in deliveries {
            match &delivery.body {
                IncomingBody::Bytes(bytes) => assert_eq!(*bytes, published[next]),
                IncomingBody::TooLarge(size) => assert!(next == 4 && *size > 2048),
                other => panic!("expected bytes or a size, found {other:?}"),
            }
            next += 1;
        }
        ack_through(source.as_mut(), last).await;
    }
}

/// Bytes of any content and of any size neither end the session nor hide the messages around them.
pub async fn survives_large_and_hostile_bodies<H: SourceHarness>() {
    let mut harness = H::start().await;
    let nested = |open: &str| open.repeat(100_000).into_bytes();
    let mut hostile = vec![
        vec![0xff, 0xfe, 0x00],
        vec![b'x'; 3 * CREDIT.max_bytes],
        b"{\"event_type\":".to_vec(),
        b"{'message_id': None}".to_vec(),
        nested("["),
        nested("{\"a\":"),
        b"\0".to_vec(),
    ];
    if SourceCapability::AnyBytes.is_supported_by::<H>() {
        hostile.extend([Vec::new(), b"\n\r\n".to_vec()]);
    }
    let good = samples::messages(0..u64::try_from(hostile.len()).unwrap_or_default());
    let mut published = Vec::new();
    for (message, hostile) in good.iter().zip(hostile) {
        published.extend([hostile, message.body().to_vec()]);
    }
    let mut source = harness.source().await;
    super::steps::attach(source.as_mut()).await;
    harness.publish_bodies(&published).await;
    let mut config = ListenerConfig::default();
    config.limits.bytes = CREDIT.max_bytes;
    let mut listener = Listener::builder(source, DeadLetters::Discard)
        .config(config)
        .start()
        .expect("cannot start the listener");
    for message in &good {
        let next = timeout(PATIENCE, listener.next_delivery()).await.expect("a message is missing");
        let delivery = next.expect("cannot read").expect("the source ended");
        assert_eq!(delivery.message().map(notify_core::Message::id), Some(message.id()));
        delivery.ack().await.expect("cannot acknowledge");
    }
    assert_eq!(listener.close(PATIENCE).await.total.lost, 0);
}
