//! Notifications with their six attributes: [`Notification`].

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::context::Context;
use super::encode::{Encoding, encode};
use super::message::Message;
use super::notification_wire::NotificationWire;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::event::payload::NotificationPayload;
use crate::event::priority::Priority;
use crate::event::read_event::ReadEvent;

/// An event with its envelope: all six attributes.
///
/// [`Notifier::emit`](crate::Notifier::emit) creates one for each event. Create one yourself to encode
/// it without sending it, and read one to send it again with
/// [`Notifier::resend`](crate::Notifier::resend). `Debug` shows the payload without secrets.
///
/// `Serialize` writes the six attributes **unredacted**, with a typed payload as the specification defines
/// it, and a deleted image with all its facts. Use it for storage of your own, and [`encode`](Self::encode)
/// for everything that others read. `Deserialize` reads exactly six attributes from JSON, without
/// [`SizeLimits`](super::SizeLimits); use [`decode`](Self::decode) for input from outside.
///
/// # Examples
///
/// ```
/// use notify_core::codec::Encoding;
/// use notify_core::Notification;
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"host1",
///     "event_type":"image.delete","priority":"INFO","timestamp":"2026-11-22 12:00:00.123456",
///     "payload":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d"}"#;
/// let notification = Notification::decode(line)?;
/// let message = notification.encode(&Encoding::default())?;
/// assert!(message.body().starts_with(br#"{"message_id":"6b9d4b8a"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The id of this notification, the same in every copy of it. Consumers drop duplicates by it.
    pub message_id: Uuid,
    /// The name of the sender, by convention `service.host`: `image.host1`.
    pub publisher_id: Arc<str>,
    /// The time at which the notification was emitted. On the wire: UTC, microseconds, no zone.
    pub timestamp: OffsetDateTime,
    /// The payload, which implies event type and priority: constructed by a program, or read.
    pub payload: NotificationPayload,
}

impl Notification {
    /// Returns the event type.
    pub fn event_type(&self) -> &EventType {
        self.payload.event_type()
    }

    /// Returns the priority.
    pub fn priority(&self) -> Priority {
        self.payload.priority()
    }

    /// Encodes and redacts the notification, as transports carry it.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`TooLarge`](crate::ErrorKind::TooLarge) if the
    /// notification exceeds the limits of `encoding`, and of the kind
    /// [`Invalid`](crate::ErrorKind::Invalid) if a time lies before the year 1.
    ///
    /// # Examples
    ///
    /// Redaction happens here, so no queue and no log ever holds the credential:
    ///
    /// ```
    /// use notify_core::codec::Encoding;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notification};
    /// # use time::OffsetDateTime;
    /// # use uuid::Uuid;
    ///
    /// # fn main() -> notify_core::Result<()> {
    /// let text = "cannot read swift://user:secret@store/image";
    /// let notification = Notification {
    ///     message_id: Uuid::from_u128(1),
    ///     publisher_id: "image.host1".into(),
    ///     timestamp: OffsetDateTime::UNIX_EPOCH,
    ///     payload: Event::ImageUpload(Payload::Error(text.into())).into(),
    /// };
    /// let message = notification.encode(&Encoding::default())?;
    /// assert!(message.body().ends_with(br#""payload":"cannot read swift://***@store/image"}"#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn encode(&self, encoding: &Encoding) -> Result<Message> {
        let payload = self.payload.view(Some(encoding.payloads));
        encode(self.message_id, &self.publisher_id, self.timestamp, payload, encoding)
    }

    /// Encodes the notification as [`encode`](Self::encode) does, for a message with a context.
    ///
    /// # Errors
    ///
    /// As from [`encode`](Self::encode), and [`ErrorKind::TooLarge`] if body and context together exceed the
    /// limit.
    pub(crate) fn encode_in(&self, context: &Context, encoding: &Encoding) -> Result<Message> {
        let mut message = self.encode(encoding)?;
        message.set_context(context, &encoding.limits)?;
        Ok(message)
    }

    /// Returns the notification that a message carries, with its payload as it is in the body: redacted.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`Invalid`](crate::ErrorKind::Invalid) if the body has no payload,
    /// which [`Message::from_body`] rules out.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::{Message, Notification};
    ///
    /// # fn main() -> notify_core::Result<()> {
    /// # let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
    /// let message = Message::from_body(line.to_vec())?;
    /// let notification = Notification::from_message(&message)?;
    /// assert_eq!(notification.message_id, message.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_message(message: &Message) -> Result<Self> {
        let payload = message.payload();
        let payload =
            payload.ok_or_else(|| Error::new(ErrorKind::Invalid, "the body has no payload"))?;
        let (event_type, priority) = (message.event_type().clone(), message.priority());
        let event = ReadEvent::new(event_type, priority, payload.to_owned());
        Ok(Self {
            message_id: message.id(),
            publisher_id: Arc::clone(&message.publisher_id),
            timestamp: message.timestamp(),
            payload: NotificationPayload::Read(event),
        })
    }
}

impl Serialize for Notification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payload = self.payload.view(None);
        NotificationWire {
            message_id: self.message_id,
            publisher_id: Cow::Borrowed(&*self.publisher_id),
            event_type: Cow::Borrowed(payload.event_type()),
            priority: payload.priority(),
            timestamp: self.timestamp,
            payload,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Notification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = NotificationWire::<Box<RawValue>>::deserialize(deserializer)?;
        let event = ReadEvent::new(wire.event_type.into_owned(), wire.priority, wire.payload);
        Ok(Self {
            message_id: wire.message_id,
            publisher_id: wire.publisher_id.into(),
            timestamp: wire.timestamp,
            payload: event.into(),
        })
    }
}
