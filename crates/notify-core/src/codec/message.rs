//! Messages: notifications that are encoded already, with the attributes that transports route by.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::context::Context;
use super::limits::SizeLimits;
use super::notification_wire::NotificationWire;
use super::sequence::{Sequence, SequenceState};
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::event::payload::Event;
use crate::event::priority::Priority;
use crate::redact::printable::has_unsafe;

/// A notification that has been encoded and redacted once.
///
/// Its [`body`](Self::body) never changes afterwards: the queue, the spool, every retry and every
/// transport carry the same bytes. Cloning is cheap, because clones share the body. `Debug` shows the
/// attributes and the size, and nothing of the body.
///
/// # Examples
///
/// ```
/// use notify_core::{EventType, Message, Priority};
///
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
/// let message = Message::from_body(line.to_vec())?;
/// assert_eq!(*message.event_type(), EventType::ImageUpload);
/// assert_eq!(message.priority(), Priority::Error);
/// assert_eq!(message.body(), line);
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Message {
    pub(crate) id: Uuid,
    pub(crate) event_type: EventType,
    pub(crate) priority: Priority,
    pub(crate) publisher_id: Arc<str>,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) body: Bytes,
    /// Whether the body shares no memory with other messages.
    pub(crate) is_detached: bool,
    pub(crate) context: Context,
    pub(crate) sequence_state: SequenceState,
}

impl Message {
    /// Creates the message that has this [`body`](Self::body), without encoding or redacting again.
    ///
    /// Use it for bodies that you stored yourself, such as those in a spool. To read a notification
    /// from outside, use [`NotificationInput::decode`](super::NotificationInput::decode).
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Invalid`] if `body` is not one line of JSON with
    /// exactly the six attributes and without unescaped control characters. The error repeats nothing
    /// of the body.
    pub fn from_body(body: Vec<u8>) -> Result<Self> {
        let invalid = |message: &'static str| Error::new(ErrorKind::Invalid, message);
        let text = std::str::from_utf8(&body).map_err(|_| invalid("the body is not UTF-8"))?;
        if has_unsafe(text) {
            return Err(invalid("the body holds a line end or another control character"));
        }
        // Drop the error of `serde_json`, which may quote the body.
        let wire: NotificationWire<'_, IgnoredAny> = serde_json::from_str(text)
            .map_err(|_| invalid("the body is not a notification with the six attributes"))?;
        Ok(Self {
            id: wire.message_id,
            event_type: wire.event_type.into_owned(),
            priority: wire.priority,
            publisher_id: wire.publisher_id.into(),
            timestamp: wire.timestamp,
            body: body.into_boxed_slice().into(),
            is_detached: false,
            context: Context::new(),
            sequence_state: SequenceState::None,
        })
    }

    /// Returns a message without a body, for the lane of an event that cannot be encoded.
    pub(crate) fn unencoded(event: &Event) -> Self {
        Self {
            id: Uuid::nil(),
            event_type: event.event_type().clone(),
            priority: event.priority(),
            publisher_id: Arc::from(""),
            timestamp: OffsetDateTime::UNIX_EPOCH,
            body: Bytes::new(),
            is_detached: true,
            context: Context::new(),
            sequence_state: SequenceState::Due,
        }
    }

    /// Sets what the message of an emitted event has: a context, and a number that a queue gives it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if body and context together exceed the limit.
    // In place: a move of the message takes as long as a tenth of its encoding.
    pub(crate) fn set_emitted(&mut self, context: &Context, limits: &SizeLimits) -> Result<()> {
        self.sequence_state = SequenceState::Due;
        self.set_context(context, limits)
    }

    /// Sets the context.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if body and context together exceed the limit.
    pub(crate) fn set_context(&mut self, context: &Context, limits: &SizeLimits) -> Result<()> {
        if !context.is_empty() {
            self.context = context.clone();
            limits.check_size(self.size())?;
        }
        Ok(())
    }

    /// Returns the `message_id` of the notification.
    ///
    /// Every copy of a notification has the same id, so that consumers can drop duplicates.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the event type.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// Returns the priority.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Returns the publisher id, which is the host name unless it is configured.
    pub fn publisher_id(&self) -> &str {
        &self.publisher_id
    }

    /// Returns the time at which the notification was emitted, in UTC.
    pub fn timestamp(&self) -> OffsetDateTime {
        self.timestamp
    }

    /// Returns the notification as one line of compact JSON in UTF-8.
    ///
    /// The line has six keys in the order of the specification and no line end. It contains no
    /// unescaped control character, line separator or bidirectional control.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the payload as it is in the body; `None` if the body has none, which
    /// [`from_body`](Self::from_body) rules out.
    pub(super) fn payload(&self) -> Option<&RawValue> {
        let body: BodyPayload<'_> = serde_json::from_slice(&self.body).ok()?;
        Some(body.payload)
    }

    /// Returns the context in which a program emitted the notification. It is no part of the body.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns the number of the message in its lane; `None` if it has none, or none yet.
    ///
    /// The queue of a [`Notifier`](crate::Notifier) numbers a message when it takes it.
    pub fn sequence(&self) -> Option<&Sequence> {
        match &self.sequence_state {
            SequenceState::Numbered(sequence) => Some(sequence),
            SequenceState::None | SequenceState::Due => None,
        }
    }

    /// Sets the context of a message that you stored with it.
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Sets the sequence of a message that you stored with it.
    ///
    /// # Examples
    ///
    /// A storage keeps body, context and sequence of a message, and restores it:
    ///
    /// ```
    /// use notify_core::{Message, Result};
    ///
    /// fn store_and_restore(message: &Message) -> Result<Message> {
    ///     let (body, context) = (message.body().to_vec(), message.context().clone());
    ///     let restored = Message::from_body(body)?.with_context(context);
    ///     Ok(match message.sequence().cloned() {
    ///         Some(sequence) => restored.with_sequence(sequence),
    ///         None => restored,
    ///     })
    /// }
    /// # drop(store_and_restore);
    /// ```
    #[must_use]
    pub fn with_sequence(mut self, sequence: Sequence) -> Self {
        self.sequence_state = SequenceState::Numbered(sequence);
        self
    }

    /// Returns the size by which queues count the message, in bytes: that of its body and of its context.
    pub fn size(&self) -> usize {
        self.body.len() + self.context.size()
    }

    /// Returns the same message with a body that shares no memory with other messages.
    ///
    /// Bodies share chunks of memory, and one pending message keeps a whole chunk. A message that stays
    /// for long must not.
    pub(crate) fn detached(mut self) -> Self {
        // A message that is sent again and again is copied once.
        if !self.is_detached {
            self.body = Bytes::copy_from_slice(&self.body);
            self.is_detached = true;
        }
        self
    }

    /// Returns the body in envelope 2.0 of oslo.messaging, as its driver `messagingv2` sends it:
    /// `{"oslo.version": "2.0", "oslo.message": "<the body as a JSON string>"}`.
    ///
    /// The envelope has no `_unique_id`. An oslo.messaging listener that sees the same `_unique_id`
    /// twice neither delivers nor acknowledges the second message, and stalls at its prefetch limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_core::Message;
    /// # let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
    /// # let message = Message::from_body(line.to_vec())?;
    /// let envelope = message.oslo_v2();
    /// assert!(envelope.starts_with(br#"{"oslo.version": "2.0", "oslo.message": "{\"message_id\":"#));
    /// # Ok::<_, notify_core::Error>(())
    /// ```
    pub fn oslo_v2(&self) -> Vec<u8> {
        const OPEN: &[u8] = br#"{"oslo.version": "2.0", "oslo.message": "#;
        let mut out = Vec::with_capacity(OPEN.len() + self.body.len() * 5 / 4);
        out.extend_from_slice(OPEN);
        out.push(b'"');
        // Only quotes and backslashes need escaping: the body has everything else escaped.
        for piece in self.body.split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
            match piece {
                [plain @ .., mark @ (b'"' | b'\\')] => {
                    out.extend_from_slice(plain);
                    out.extend_from_slice(&[b'\\', *mark]);
                }
                plain => out.extend_from_slice(plain),
            }
        }
        out.extend_from_slice(b"\"}");
        out
    }
}

/// The payload of a message's body.
#[derive(Deserialize)]
struct BodyPayload<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Shows the attributes and the size, and nothing of the body.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("priority", &self.priority)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
