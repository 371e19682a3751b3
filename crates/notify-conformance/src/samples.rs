//! Notifications for tests: those that Glance sent, and any number of distinct ones.
//!
//! Every sample is a pure function of its arguments, so two runs send the same bytes.

use std::ops::Range;

use notify_core::codec::{Encoding, NotificationInput, SizeLimits};
use notify_core::event::{Image, ImageSend, ImageStatus, NotificationPayload, Payload};
use notify_core::{Context, Event, Message, Notification, Priority};
use time::OffsetDateTime;
use uuid::Uuid;

/// The notifications that Glance's own code of 2013 sent, one per line.
///
/// Each line is a JSON object with `event_type`, `priority` and `payload`.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples::GLANCE_2013;
///
/// assert!(GLANCE_2013.lines().all(|line| line.starts_with('{')));
/// ```
pub const GLANCE_2013: &str = include_str!("samples/glance-2013.jsonl");

/// Reads [`GLANCE_2013`], line by line.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples;
///
/// let bodies = samples::glance_2013();
/// assert_eq!(bodies.len(), samples::GLANCE_2013.lines().count());
/// ```
pub fn glance_2013() -> Vec<NotificationPayload> {
    GLANCE_2013
        .lines()
        .map(|line| match NotificationInput::decode(line.as_bytes(), &SizeLimits::default()) {
            Ok(NotificationInput::Event(event)) => event.into(),
            other => panic!("expected an event without an envelope, got {other:?}"),
        })
        .collect()
}

/// Returns sample `number`: its id, event, priority and payload follow from the number.
///
/// Every third number is an `image.create` at `INFO`, the next an `image.send` at `ERROR` and the next
/// an `image.upload` at `WARN`.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples::notification;
/// use notify_core::EventType;
///
/// assert_eq!(*notification(3).event_type(), EventType::ImageCreate);
/// assert_eq!(notification(3).message_id, notification(3).message_id);
/// assert_ne!(notification(3).message_id, notification(6).message_id);
/// ```
pub fn notification(number: u64) -> Notification {
    let id = Uuid::from_u64_pair(0x4000 | number.rotate_right(32) << 16, 1 << 63 | number);
    let time = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1_795_000_000);
    let event = match number % 3 {
        0 => {
            let mut image = Image::new(id, ImageStatus::Active, time);
            image.name = Some(format!("image-{number}"));
            image.size = Some(number);
            Event::ImageCreate(image.into())
        }
        1 => Event::ImageSend(Priority::Error, ImageSend::new(id, number)),
        _ => Event::ImageUpload(Payload::Warn(format!("upload {number} was slow"))),
    };
    Notification {
        message_id: id,
        publisher_id: "image.host1".into(),
        timestamp: time + time::Duration::microseconds(i64::try_from(number).unwrap_or(0)),
        payload: event.into(),
    }
}

/// Encodes the samples of a range of numbers, in order.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples;
///
/// let messages = samples::messages(0..100);
/// assert_eq!(messages.len(), 100);
/// assert_eq!(messages[7].id(), samples::notification(7).message_id);
/// ```
pub fn messages(numbers: Range<u64>) -> Vec<Message> {
    numbers.map(|number| encode(&notification(number))).collect()
}

/// Encodes a notification in the default encoding.
///
/// # Panics
///
/// When the notification exceeds the default [`SizeLimits`].
///
/// # Examples
///
/// ```
/// use notify_conformance::samples;
///
/// let message = samples::encode(&samples::notification(1));
/// assert!(message.body().starts_with(b"{"));
/// ```
pub fn encode(notification: &Notification) -> Message {
    match notification.encode(&Encoding::default()) {
        Ok(message) => message,
        Err(error) => panic!("cannot encode the sample: {error:#}"),
    }
}

/// Returns a context with all its parts.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples;
///
/// let message = samples::messages(0..1).remove(0).with_context(samples::context());
/// assert_eq!(message.headers().count(), 5);
/// ```
pub fn context() -> Context {
    Context::builder()
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .tracestate("congo=t61rcWkgMzE")
        .request_id("req-1")
        .user("bob")
        .project("web")
        .build_valid()
}

/// Returns texts that break careless encoders.
///
/// They hold several scripts, quotes, line separators, control characters and bidirectional controls;
/// the last one is 256 KiB long.
///
/// # Examples
///
/// ```
/// use notify_conformance::samples::difficult_texts;
///
/// assert!(difficult_texts().iter().any(|text| text.len() == 256 * 1024));
/// ```
pub fn difficult_texts() -> Vec<String> {
    vec![
        "Ünïcödé — 日本語 — עברית — 🖼️ — \u{10ffff}".into(),
        "quotes \" ' ` \\ / and \\u0041".into(),
        "lines \n\r\n\t\u{b}\u{c}\u{85}\u{2028}\u{2029} and nul \0".into(),
        "escapes \u{1b}[31m \u{9b}31m \u{7f} and \u{202e}bidi\u{2066}".into(),
        "é".repeat(128 * 1024),
    ]
}
