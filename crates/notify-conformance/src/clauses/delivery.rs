//! Clauses about content: messages arrive in order and byte for byte, with their metadata.

use notify_core::codec::Sequence;
use notify_core::event::{Image, ImageStatus, Payload};
use notify_core::{Context, Event, EventType, Notification, Priority};
use uuid::Uuid;

use super::comparison::{assert_same_bodies, assert_same_order};
use crate::attempts::{deliver, send_once};
use crate::harness::{Capability, Harness, MessageMetadata};
use crate::samples;

/// Messages arrive in the order of their batch, and batches in the order of their attempts.
///
/// All messages have one priority, because a destination may keep priorities apart. Needs
/// [`Capability::ReadBack`].
pub async fn delivers_in_order<H: Harness>() {
    if !Capability::ReadBack.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages: Vec<_> =
        (0..1000).map(|number| samples::encode(&samples::notification(number * 3))).collect();
    for batch in messages.chunks(300) {
        deliver(transport.as_mut(), batch).await;
    }
    assert_same_order(&harness.received().await, &messages);
}

/// The destination receives the body of each message byte for byte.
///
/// The bodies are those that Glance sent. Needs [`Capability::ReadBack`].
pub async fn keeps_every_byte_of_the_body<H: Harness>() {
    if !Capability::ReadBack.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let messages: Vec<_> = samples::glance_2013()
        .into_iter()
        .zip(0..)
        .map(|(payload, number)| {
            samples::encode(&Notification { payload, ..samples::notification(number) })
        })
        .collect();
    deliver(transport.as_mut(), &messages).await;
    assert_same_bodies(&harness.received().await, &messages);
}

/// Unicode, control characters and texts of 256 KiB arrive byte for byte.
///
/// Needs [`Capability::ReadBack`].
pub async fn delivers_unicode_and_large_messages<H: Harness>() {
    if !Capability::ReadBack.is_supported_by::<H>() {
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
        messages.push(samples::encode(&Notification { payload: create.into(), ..sample.clone() }));
        let failure = Event::ImageUpload(Payload::Error(text));
        messages.push(samples::encode(&Notification { payload: failure.into(), ..sample }));
    }
    deliver(transport.as_mut(), &messages).await;
    assert_same_bodies(&harness.received().await, &messages);
}

/// The destination keeps id, event type and priority beside each body.
///
/// Needs [`Capability::ReadBack`] and [`Capability::Metadata`].
pub async fn keeps_the_metadata<H: Harness>() {
    if ![Capability::ReadBack, Capability::Metadata].iter().all(|it| it.is_supported_by::<H>()) {
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
            .unwrap_or_else(|| panic!("the destination has no metadata of message {id}"));
        assert_eq!(metadata.event_type, message.event_type().as_str());
        assert_eq!(metadata.priority, message.priority());
    }
}

/// The destination keeps context and sequence as headers beside each body, and a message without them gets none.
///
/// The names are those of [`Message::headers`](notify_core::Message::headers). Needs [`Capability::ReadBack`] and [`Capability::Metadata`].
pub async fn keeps_context_and_sequence<H: Harness>() {
    if ![Capability::ReadBack, Capability::Metadata].iter().all(|it| it.is_supported_by::<H>()) {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let mut messages = samples::messages(0..9);
    let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 1 << 40);
    let full = messages[0].clone().with_context(samples::context()).with_sequence(sequence.clone());
    let names: Vec<_> = full.headers().map(|(name, _)| name).collect();
    messages[0] = full;
    messages[1] = messages[1].clone().with_context(Context::builder().user("ü").build_valid());
    messages[2] = messages[2].clone().with_sequence(sequence);
    deliver(transport.as_mut(), &messages).await;
    let received = harness.received().await;
    for message in &messages {
        let expected = MessageMetadata::of(message);
        let id = &expected.message_id;
        let metadata = received.iter().filter_map(|received| received.metadata.as_ref());
        let mut metadata = metadata.filter(|metadata| metadata.message_id == *id);
        let Some(MessageMetadata { headers, .. }) = metadata.next() else {
            panic!("the destination has no metadata of message {id}")
        };
        for name in &names {
            let (found, sent) = (headers.get(*name), expected.headers.get(*name));
            assert_eq!(found, sent, "the header `{name}` of message {id}");
        }
    }
}

/// An empty batch succeeds without opening a connection or a file.
pub async fn an_empty_batch_touches_nothing<H: Harness>() {
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let attempt = send_once(transport.as_mut(), &[]).await;
    assert!(attempt.result.is_ok());
    assert_eq!(harness.open_handles().await, 0);
    assert_eq!(harness.received().await, []);
}

/// One transport delivers every event type at every priority, also those that no specification documents.
///
/// Needs [`Capability::ReadBack`].
pub async fn delivers_every_event_type_and_priority<H: Harness>() {
    if !Capability::ReadBack.is_supported_by::<H>() {
        return;
    }
    let mut harness = H::start().await;
    let mut transport = harness.transport();
    let mut messages = Vec::new();
    let other = EventType::new("image.member.create");
    let event_types = EventType::DOCUMENTED.iter().cloned().chain(other);
    for (event_type, number) in event_types.zip(0..) {
        for &priority in Priority::ALL {
            let payload = serde_json::json!({ "of": event_type, "at": priority });
            let event_type = event_type.clone();
            let payload = Event::Other { event_type, priority, payload }.into();
            messages
                .push(samples::encode(&Notification { payload, ..samples::notification(number) }));
        }
    }
    deliver(transport.as_mut(), &messages).await;
    assert_same_bodies(&harness.received().await, &messages);
}
