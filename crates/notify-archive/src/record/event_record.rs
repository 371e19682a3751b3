//! The record of one notification: [`EventRecord`].

use std::sync::Arc;

use notify_core::codec::{Encoding, Sequence, parse_lossy};
use notify_core::listener::Delivery;
use notify_core::{Context, EventType, Message, Notification, Priority, Result};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::audit_facts::AuditFacts;
use super::image_ids::{image_in_path, image_in_text};

/// A notification with the facts that questions ask about.
///
/// The body is redacted. A fact that the notification lacks is `None`, and nothing here is a guess: the
/// owner of an image is no actor, and a record without a request has no user.
///
/// # Examples
///
/// ```
/// use notify_archive::record::RecordReader;
///
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
///     "event_type":"image.send","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
///     "payload":{"image_id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","bytes_sent":512,
///     "owner_id":"web","receiver_tenant_id":"data","receiver_user_id":"bob"}}"#;
/// let record = RecordReader::new("standard input").read(line).unwrap();
/// assert_eq!(record.subject.as_deref(), Some("c80a1a6c-bd1f-41c5-90ee-81afedb1d58d"));
/// assert_eq!(record.bytes_sent, Some(512));
/// assert_eq!(record.receiver.as_deref(), Some("data"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventRecord {
    /// The id of the notification.
    pub message_id: Uuid,
    /// The time at which the sender emitted the notification, in UTC.
    pub timestamp: OffsetDateTime,
    /// The event type.
    pub event_type: EventType,
    /// The priority.
    pub priority: Priority,
    /// The name of the sender, such as `image.host1`.
    pub publisher_id: Arc<str>,
    /// The id of the image or of the task. For an audit event, the id of the image in its request path.
    pub subject: Option<Arc<str>>,
    /// The name of the image.
    pub name: Option<Arc<str>>,
    /// The status of the image, the task or the member.
    pub status: Option<Arc<str>>,
    /// The id of the project that owns the image or the task.
    pub owner: Option<Arc<str>>,
    /// The id of the project that received data, of `image.send`.
    pub receiver: Option<Arc<str>>,
    /// The id of the user that received data, of `image.send`.
    pub receiver_user: Option<Arc<str>>,
    /// The number of bytes sent, of `image.send`. `None` above 2^63 − 1.
    pub bytes_sent: Option<u64>,
    /// The size of the image in bytes. `None` above 2^63 − 1.
    pub size: Option<u64>,
    /// The place and time at which the notification was received.
    pub arrival: Arrival,
    /// The request during which the sender emitted the notification: the context that it attached, or
    /// oslo.log's prefix of a log line. Its user is the one who acted, as the sender says, and never the owner of an
    /// image.
    pub context: Context,
    /// The number that the publisher gave the notification, if it numbers them.
    pub sequence: Option<Sequence>,
    /// The notification as one line of redacted JSON. Empty if a reader of the archive left it out.
    pub body: Arc<[u8]>,
}

/// The place and time at which a notification was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The time of reception. `None` for a notification from a file.
    pub received_at: Option<OffsetDateTime>,
    /// The name of the source: a configured name, the path of a file, or `standard input`.
    pub source: Option<Arc<str>>,
    /// The region of the source.
    pub region: Option<Arc<str>>,
}

impl EventRecord {
    /// Creates the record of a notification, and encodes and redacts its body.
    ///
    /// # Errors
    ///
    /// Returns an error if the notification exceeds the limits of encoding.
    pub fn new(notification: &Notification, arrival: Arrival) -> Result<Self> {
        let message = notification.encode(&Encoding::default())?;
        Ok(Self::from_message(&message, notification, arrival))
    }

    /// Creates the record of a delivery, with its context and its sequence; `None` if it is unreadable.
    pub fn from_delivery(delivery: &Delivery, arrival: Arrival) -> Option<Self> {
        let mut record = Self::from_message(delivery.message()?, delivery.notification()?, arrival);
        record.context = delivery.context().clone();
        record.sequence = delivery.sequence().cloned();
        Some(record)
    }

    /// Creates the record of an encoded notification. The message must be that of the notification.
    ///
    /// A [`Delivery`] has both, redacted: see [`from_delivery`](Self::from_delivery).
    pub fn from_message(message: &Message, notification: &Notification, arrival: Arrival) -> Self {
        let facts = notification.event();
        let text = |text: Option<String>| text.map(Arc::from);
        let number = |number: Option<u64>| number.filter(|n| i64::try_from(*n).is_ok());
        let mut record = Self {
            message_id: message.id(),
            // The wire has microseconds.
            timestamp: microsecond(message.timestamp()),
            event_type: message.event_type().clone(),
            priority: message.priority(),
            publisher_id: message.publisher_id().into(),
            subject: text(
                facts.id.or_else(|| image_in_text(facts.message.as_deref()?).map(str::to_owned)),
            ),
            name: text(facts.name),
            status: text(facts.status),
            owner: text(facts.owner),
            receiver: text(facts.receiver_tenant_id),
            receiver_user: text(facts.receiver_user_id),
            bytes_sent: number(facts.bytes_sent),
            size: number(facts.size),
            arrival,
            context: Context::new(),
            sequence: None,
            body: message.body().into(),
        };
        if record.is_audit() {
            // The fields of a CADF event have other meanings.
            let audit = AuditFacts::of(&record.body).unwrap_or_default();
            record.subject = audit.request_path.as_deref().and_then(image_in_path).map(Arc::from);
            (record.name, record.status, record.owner, record.size) = (None, None, None, None);
        }
        record
    }

    /// Returns `true` for an audit event of keystonemiddleware.
    pub fn is_audit(&self) -> bool {
        self.event_type.as_str().starts_with("audit.http.")
    }

    /// Returns `true` if the subject is a task.
    pub fn is_task(&self) -> bool {
        self.event_type.group() == "task"
    }

    /// Returns `true` if the subject is an image and the event is one of the image itself.
    pub fn is_image(&self) -> bool {
        self.event_type.group() == "image"
    }

    /// Returns the payload in the body, or `None` if the record has no body.
    ///
    /// Half a surrogate pair becomes a replacement character, and a number out of range the nearest one that Rust
    /// holds. The body keeps both.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_archive::record::RecordReader;
    ///
    /// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
    ///     "event_type":"image.update","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
    ///     "payload":{"checksum":"bb","os":"caf\udce9"}}"#;
    /// let payload = RecordReader::new("standard input").read(line).unwrap().payload().unwrap();
    /// assert_eq!(payload["checksum"], "bb");
    /// assert_eq!(payload["os"], "caf\u{fffd}");
    /// ```
    pub fn payload(&self) -> Option<Value> {
        /// The payload of a body.
        #[derive(serde::Deserialize)]
        struct BodyPayload {
            payload: Value,
        }
        Some(parse_lossy::<BodyPayload>(&self.body)?.payload)
    }

    /// Returns the text of a warning or an error, or `None` if the payload is no text.
    pub fn message_text(&self) -> Option<String> {
        match self.payload()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Returns a time without the part below a microsecond.
fn microsecond(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(time.microsecond() * 1000).unwrap_or(time)
}

/// The begin of 2010, when Glance sent its first notification.
pub(crate) const FIRST_NOTIFICATION: OffsetDateTime =
    match OffsetDateTime::from_unix_timestamp(1_262_304_000) {
        Ok(time) => time,
        Err(_) => OffsetDateTime::UNIX_EPOCH,
    };
