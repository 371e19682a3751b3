//! Input: notifications read from one line, with or without their six attributes.
//!
//! Reading trusts nothing in the line. It reports every problem at its JSON pointer, and repeats no value
//! that may be a secret. [`decode`](super::decode) finds the attributes in the line.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::attributes::Attributes;
use super::context::Context;
use super::encode::{Encoding, encode};
use super::message::Message;
use super::notification::Notification;
use super::problem::{Problem, Problems};
use super::sequence::Sequence;
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind};
use crate::event::event_type::{EXPECTED as EXPECTED_NAME, EventType};
use crate::event::payload::PayloadView;
use crate::event::priority::Priority;
use crate::event::read_event::{ReadEvent, ReadEventView};
use crate::event::words::one_of;
use crate::redact::quote::quoted;

/// One line of input: a whole notification, or only an event without its envelope.
///
/// `glance-notify emit` accepts both. It keeps the envelope of the first and creates one for the
/// second.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
///
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
/// match NotificationInput::decode(line, &SizeLimits::default())? {
///     NotificationInput::Notification(notification) => println!("id {}", notification.message_id),
///     NotificationInput::Event(event) => println!("{} without an id", event.event_type()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "most lines hold a whole notification")]
pub enum NotificationInput {
    /// All six attributes.
    Notification(Notification),
    /// `event_type`, `priority` and `payload` alone.
    ///
    /// [`Notifier::stamp`](crate::Notifier::stamp) adds id, publisher id and time.
    Event(ReadEvent),
}

/// One line of input: the notification, and the context and the sequence on the same line.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationLine, SizeLimits};
///
/// let line = br#"2026-11-22 12:54:26 7 ERROR oslo.messaging.notification.image.upload [None req-1 bob web]
///     {"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
/// let line = NotificationLine::decode(line, &SizeLimits::default())?;
/// assert_eq!(line.context.user(), Some("bob"));
/// # Ok::<(), notify_core::codec::Problems>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotificationLine {
    /// The notification, or an event without its envelope.
    pub input: NotificationInput,
    /// The context: the attributes of a CloudEvent, or the request in the prefix of a log line, as
    /// [`Context::of_log_line`] reads it. Empty for other forms.
    pub context: Context,
    /// The sequence of a CloudEvent.
    pub sequence: Option<Sequence>,
    /// A warning for each attribute that reading drops, except for those that begin with `_`.
    pub warnings: Vec<Problem>,
}

/// The contents of a line, in small types, with the payload as it is in the line.
///
/// A [`NotificationPayload`](crate::event::NotificationPayload) has room for a whole constructed image. Moving
/// it from function to function took a tenth of decoding, so only the last one creates it.
pub(crate) struct LineContents<'a> {
    /// `None` for an event without an envelope.
    pub(super) envelope: Option<InputEnvelope>,
    pub(super) event_type: EventType,
    pub(super) priority: Priority,
    pub(super) payload: Cow<'a, RawValue>,
    pub(crate) context: Context,
    pub(crate) sequence: Option<Sequence>,
    pub(super) warnings: Vec<Problem>,
}

/// The attributes that a notification has and an event lacks.
pub(super) struct InputEnvelope {
    pub(super) message_id: Uuid,
    pub(super) publisher_id: Arc<str>,
    pub(super) timestamp: OffsetDateTime,
}

impl<'a> LineContents<'a> {
    /// Reads the attributes of a notification. The context is empty.
    pub(super) fn read(mut attributes: Attributes<'a>) -> Result<Self, Problems> {
        let has_envelope = ATTRIBUTES[..3].iter().any(|key| attributes.has(key));
        let envelope = has_envelope.then(|| {
            let message_id = read_id(&mut attributes, "message_id");
            let publisher_id = attributes.parsed(
                "publisher_id",
                || "a string".into(),
                |id| Some(id.into()),
                quoted,
            );
            let timestamp = read_time(&mut attributes, "timestamp");
            Some(InputEnvelope {
                message_id: message_id?,
                publisher_id: publisher_id?,
                timestamp: timestamp?,
            })
        });
        let event_type = attributes.parsed(
            "event_type",
            || EXPECTED_NAME.into(),
            |name| EventType::new(name).ok(),
            quoted,
        );
        let priority = read_priority(&mut attributes);
        let payload = attributes.value("payload", "a payload").map(Cow::Borrowed);
        let known = if has_envelope { &ATTRIBUTES[..] } else { &ATTRIBUTES[3..] };
        let contents = || {
            let envelope = match envelope {
                Some(envelope) => Some(envelope?),
                None => None,
            };
            let (context, sequence, warnings) = (Context::default(), None, Vec::new());
            let (event_type, priority, payload) = (event_type?, priority?, payload?);
            Some(Self { envelope, event_type, priority, payload, context, sequence, warnings })
        };
        let (contents, warnings) = attributes.finish(known, contents)?;
        Ok(Self { warnings, ..contents })
    }

    /// Returns the contents with a payload of their own.
    pub(super) fn into_owned(self) -> LineContents<'static> {
        LineContents { payload: Cow::Owned(self.payload.into_owned()), ..self }
    }

    /// Returns the line.
    pub(super) fn into_line(self) -> NotificationLine {
        let Self { envelope, event_type, priority, payload, context, sequence, warnings } = self;
        let event = ReadEvent::new(event_type, priority, payload.into_owned());
        let input = match envelope {
            Some(envelope) => NotificationInput::Notification(envelope.around(event)),
            None => NotificationInput::Event(event),
        };
        NotificationLine { input, context, sequence, warnings }
    }

    /// Returns the notification.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an event without an envelope.
    pub(crate) fn into_notification(self) -> Result<Notification, Error> {
        let envelope = self.envelope.ok_or_else(no_envelope)?;
        let event = ReadEvent::new(self.event_type, self.priority, self.payload.into_owned());
        Ok(envelope.around(event))
    }

    /// Encodes and redacts the notification, as [`Notification::encode`] does, without a copy of the payload.
    ///
    /// # Errors
    ///
    /// As from [`Notification::encode`], and [`ErrorKind::Invalid`] for an event without an envelope.
    pub(crate) fn encode(&self, encoding: &Encoding) -> Result<Message, Error> {
        let Self { envelope, event_type, priority, payload, .. } = self;
        let InputEnvelope { message_id, publisher_id, timestamp } =
            envelope.as_ref().ok_or_else(no_envelope)?;
        let event = ReadEventView { event_type, priority: *priority, payload };
        encode(*message_id, publisher_id, *timestamp, PayloadView::Text(event), encoding)
    }
}

impl InputEnvelope {
    /// Returns the notification of an event.
    fn around(self, event: ReadEvent) -> Notification {
        let Self { message_id, publisher_id, timestamp } = self;
        Notification { message_id, publisher_id, timestamp, payload: event.into() }
    }
}

/// Returns the error for an event without an envelope, where a notification must stand.
fn no_envelope() -> Error {
    Error::new(ErrorKind::Invalid, "/message_id: missing, expected a UUID with dashes")
}

/// Reads the id of a notification.
pub(super) fn read_id(attributes: &mut Attributes<'_>, key: &str) -> Option<Uuid> {
    // Other forms of a UUID would not be written again as they were.
    let parse = |text: &str| if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
    attributes.parsed(key, || "a UUID with dashes".into(), parse, quoted)
}

/// Reads the time of a notification.
pub(super) fn read_time(attributes: &mut Attributes<'_>, key: &str) -> Option<OffsetDateTime> {
    let expected = || "a time such as 2026-11-22 12:00:00.123456".into();
    attributes.parsed(key, expected, parse_time, |_| "a string that is not a time".into())
}

/// Reads the priority of a notification, which has the same name in every form.
pub(super) fn read_priority(attributes: &mut Attributes<'_>) -> Option<Priority> {
    let words = || one_of(&Priority::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>());
    attributes.parsed("priority", words, |word| word.parse().ok(), quoted)
}

/// The attributes of a notification. An event without an envelope lacks the first three.
const ATTRIBUTES: [&str; 6] =
    ["message_id", "publisher_id", "timestamp", "event_type", "priority", "payload"];
