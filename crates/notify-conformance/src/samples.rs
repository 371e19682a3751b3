//! Notifications to send: Glance's own, and as many distinct ones as a test wants.

use notify_core::codec::{Encoding, NotificationInput, SizeLimits};
use notify_core::event::{Body, Image, ImageSend, ImageStatus};
use notify_core::{Event, Message, Notification, Priority};
use time::OffsetDateTime;
use uuid::Uuid;

/// What Glance's own code of 2013 sent, line by line: event type, priority and payload.
pub const GLANCE_2013: &str = include_str!("samples/glance-2013.jsonl");

/// [`GLANCE_2013`] as it is read.
pub fn glance_2013() -> Vec<Body> {
    GLANCE_2013
        .lines()
        .map(|line| match NotificationInput::read(line.as_bytes(), &SizeLimits::default()) {
            Ok(NotificationInput::Body(body)) => body,
            other => panic!("not a body: {other:?}"),
        })
        .collect()
}

/// The notification number `number`: its id and everything in it follow from the number.
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
        _ => Event::ImageUpload(notify_core::event::Payload::Warn(format!(
            "upload {number} was slow"
        ))),
    };
    Notification {
        message_id: id,
        publisher_id: "image.host1".into(),
        timestamp: time + time::Duration::microseconds(i64::try_from(number).unwrap_or(0)),
        body: event.into(),
    }
}

/// The messages of the notifications of `numbers`.
pub fn messages(numbers: std::ops::Range<u64>) -> Vec<Message> {
    numbers.map(|number| encode(&notification(number))).collect()
}

/// A notification in the default encoding.
pub fn encode(notification: &Notification) -> Message {
    match notification.encode(&Encoding::default()) {
        Ok(message) => message,
        Err(error) => panic!("a sample must be encoded: {error:#}"),
    }
}

/// Texts that break naive readers: every script, every control, every quote; and one of 256 KiB.
pub fn difficult_texts() -> Vec<String> {
    vec![
        "Ünïcödé — 日本語 — עברית — 🖼️ — \u{10ffff}".into(),
        "quotes \" ' ` \\ / and \\u0041".into(),
        "lines \n\r\n\t\u{b}\u{c}\u{85}\u{2028}\u{2029} and nul \0".into(),
        "escapes \u{1b}[31m \u{9b}31m \u{7f} and \u{202e}bidi\u{2066}".into(),
        "é".repeat(128 * 1024),
    ]
}
