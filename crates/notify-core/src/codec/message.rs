//! A notification encoded once: the bytes every transport carries, and the few facts it routes by.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use uuid::Uuid;

use super::json_writer::write_json_string;
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::EventType;
use crate::event::priority::Priority;
use crate::redact::printable::has_unsafe;

/// One notification, encoded and redacted, ready to be sent.
///
/// The body is one line of compact JSON in UTF-8, without a line end. `Debug` shows none of it.
#[derive(Clone)]
pub struct Message {
    pub(crate) id: Uuid,
    pub(crate) event_type: EventType,
    pub(crate) priority: Priority,
    pub(crate) publisher_id: Arc<str>,
    pub(crate) timestamp: OffsetDateTime,
    pub(crate) body: Bytes,
}

impl Message {
    /// The message whose [`body`](Self::body) this is, for whoever attributes it somewhere: nothing is
    /// encoded or redacted again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what is not one line of JSON with the six attributes and nothing
    /// unescaped. What it repeats of the body is nothing.
    pub fn from_body(body: Vec<u8>) -> Result<Self> {
        let invalid = |what: &'static str| Error::new(ErrorKind::Invalid, what);
        let text = std::str::from_utf8(&body).map_err(|_| invalid("the body is not UTF-8"))?;
        if has_unsafe(text) {
            return Err(invalid("the body holds a line end or another control character"));
        }
        // What serde_json says may quote the body, so it is not passed on.
        let attributes: BodyAttributes<'_> = serde_json::from_str(text)
            .map_err(|_| invalid("the body is not a notification with the six attributes"))?;
        let timestamp = parse_time(&attributes.timestamp)
            .ok_or_else(|| invalid("the body's timestamp is not a time"))?;
        Ok(Self {
            id: attributes.message_id,
            event_type: attributes.event_type,
            priority: attributes.priority,
            publisher_id: attributes.publisher_id.into(),
            timestamp,
            body: body.into_boxed_slice().into(),
        })
    }

    /// The notification's `message_id`: the same in every copy of it, for consumers to drop
    /// duplicates by.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What happened.
    pub fn event_type(&self) -> EventType {
        self.event_type
    }

    /// How urgent it is.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Who says so: the host name unless configured.
    pub fn publisher_id(&self) -> &str {
        &self.publisher_id
    }

    /// When the notification was emitted, in UTC.
    pub fn timestamp(&self) -> OffsetDateTime {
        self.timestamp
    }

    /// The notification as one line of JSON: six keys in the specification's order, UTF-8, no line
    /// end, and no control, line separator or bidirectional control unescaped.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body in oslo.messaging's envelope 2.0, as its driver `messagingv2` sends it:
    /// `{"oslo.version": "2.0", "oslo.message": "<the body as a JSON string>"}`.
    ///
    /// There is no `_unique_id`: an oslo listener that sees one repeated neither delivers nor
    /// acknowledges the message, and stalls at its prefetch limit.
    pub fn oslo_v2(&self) -> Vec<u8> {
        const OPEN: &[u8] = br#"{"oslo.version": "2.0", "oslo.message": "#;
        let mut out = Vec::with_capacity(OPEN.len() + self.body.len() * 5 / 4);
        out.extend_from_slice(OPEN);
        write_json_string(&mut out, &self.body);
        out.push(b'}');
        out
    }
}

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

/// What a body says of the message it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyAttributes<'a> {
    message_id: Uuid,
    #[serde(borrow)]
    publisher_id: std::borrow::Cow<'a, str>,
    event_type: EventType,
    priority: Priority,
    #[serde(borrow)]
    timestamp: std::borrow::Cow<'a, str>,
    #[serde(rename = "payload")]
    _payload: IgnoredAny,
}
