//! What is sent arrives: in order, byte by byte, with what stands beside it.

use notify_core::event::{Body, Image, ImageStatus, Payload};
use notify_core::{Event, Notification, Priority};

use super::{attempt, bodies, can, deliver};
use crate::harness::{Capability, Harness, Received};
use crate::samples;

/// Messages arrive in the order of their batch, and batches in theirs.
pub async fn delivers_in_order<H: Harness>() {
    if !can::<H>(&[Capability::Keep]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    // Of one priority: a destination may keep the others apart.
    let messages: Vec<_> =
        (0..1000).map(|n| samples::encode(&samples::notification(n * 3))).collect();
    for batch in messages.chunks(300) {
        deliver(transport.as_mut(), batch).await;
    }
    let received = harness.received().await;
    let received: Vec<_> = received.iter().map(|received| received.body.as_slice()).collect();
    assert!(received == bodies(&messages), "the order of {} bodies differs", received.len());
}

/// What arrives is the body, byte by byte.
pub async fn keeps_every_byte_of_the_body<H: Harness>() {
    if !can::<H>(&[Capability::Keep]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages: Vec<_> = samples::glance_2013()
        .into_iter()
        .zip(0..)
        .map(|(body, number)| {
            samples::encode(&Notification { body, ..samples::notification(number) })
        })
        .collect();
    deliver(transport.as_mut(), &messages).await;
    assert_eq!(sorted(&harness.received().await), sorted_bodies(&bodies(&messages)));
}

/// Unicode, controls and large texts arrive as they were encoded.
pub async fn takes_unicode_and_large_messages<H: Harness>() {
    if !can::<H>(&[Capability::Keep]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let mut messages = Vec::new();
    for (text, number) in samples::difficult_texts().into_iter().zip(0..) {
        let sample = samples::notification(number);
        let mut image = Image::new(sample.message_id, ImageStatus::Active, sample.timestamp);
        image.name = Some(text.clone());
        image.properties.insert(text.chars().take(100).collect(), text.clone());
        let create = Event::ImageCreate(image.into());
        messages.push(samples::encode(&Notification { body: create.into(), ..sample.clone() }));
        let failed = Event::ImageUpload(Payload::Error(text));
        messages.push(samples::encode(&Notification { body: failed.into(), ..sample }));
    }
    deliver(transport.as_mut(), &messages).await;
    assert_eq!(sorted(&harness.received().await), sorted_bodies(&bodies(&messages)));
}

/// Id, event type and priority stand beside the body.
pub async fn keeps_the_metadata<H: Harness>() {
    if !can::<H>(&[Capability::Keep, Capability::Metadata]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages = samples::messages(0..9);
    deliver(transport.as_mut(), &messages).await;
    let received = harness.received().await;
    assert_eq!(received.len(), messages.len());
    for message in &messages {
        let id = message.id().to_string();
        let metadata = received
            .iter()
            .filter_map(|received| received.metadata.as_ref())
            .find(|metadata| metadata.message_id == id)
            .unwrap_or_else(|| panic!("{id} is not there"));
        assert_eq!(metadata.event_type, message.event_type().as_str());
        assert_eq!(metadata.priority, message.priority());
    }
}

/// An empty batch touches nothing: no connection, no file.
pub async fn an_empty_batch_is_free<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let attempt = attempt(transport.as_mut(), &[]).await;
    assert!(attempt.end.is_ok());
    assert_eq!(harness.holders().await, 0);
    assert_eq!(harness.received().await, []);
}

/// All three priorities go through one transport, and each event type.
pub async fn takes_every_event<H: Harness>() {
    if !can::<H>(&[Capability::Keep]) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let mut messages = Vec::new();
    for (&event_type, number) in notify_core::EventType::ALL.iter().zip(0..) {
        for &priority in Priority::ALL {
            let payload = serde_json::json!({ "of": event_type, "at": priority });
            let body = Body::AsRead { event_type, priority, payload };
            messages.push(samples::encode(&Notification { body, ..samples::notification(number) }));
        }
    }
    deliver(transport.as_mut(), &messages).await;
    assert_eq!(sorted(&harness.received().await), sorted_bodies(&bodies(&messages)));
}

fn sorted(received: &[Received]) -> Vec<String> {
    sorted_bodies(&received.iter().map(|received| received.body.as_slice()).collect::<Vec<_>>())
}

/// As text, for a failure that can be read.
fn sorted_bodies(bodies: &[&[u8]]) -> Vec<String> {
    let mut bodies: Vec<_> =
        bodies.iter().map(|body| String::from_utf8_lossy(body).into()).collect();
    bodies.sort();
    bodies
}
