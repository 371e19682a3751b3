//! Context and sequence as headers: application properties of AMQP 1.0, headers of AMQP 0-9-1.
//!
//! One list of names for writers and readers. This module knows no protocol.
//!
//! | name | value |
//! |---|---|
//! | `traceparent`, `tracestate` | text, as W3C Trace Context defines them |
//! | `glance-notify-request-id` | text: the id of the request |
//! | `glance-notify-user` | text: the id of the user |
//! | `glance-notify-project` | text: the id of the project |
//! | `glance-notify-epoch` | text: the UUID of the publisher's run |
//! | `glance-notify-lane` | text: the name of the lane |
//! | `glance-notify-number` | 64-bit signed integer: the number in the lane, from 1 |
//!
//! No name begins with `x-`: RabbitMQ takes such headers for annotations when it passes a message from one
//! protocol to another.

use std::borrow::Cow;

use uuid::Uuid;

use super::context::Context;
use super::message::Message;
use super::sequence::Sequence;
use crate::redact::printable::has_unsafe;
use crate::source::IncomingDelivery;

/// The value of one header.
///
/// # Examples
///
/// ```
/// use notify_core::codec::HeaderValue;
/// use notify_core::{Context, Message};
///
/// /// Returns the headers of a message as lines of a log.
/// fn lines(message: &Message) -> Vec<String> {
///     let headers = message.headers();
///     headers.map(|(name, value)| match value {
///         HeaderValue::Text(text) => format!("{name}: {text}"),
///         HeaderValue::Number(number) => format!("{name}: {number}"),
///     }).collect()
/// }
/// # let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
/// # let message = Message::from_body(line.to_vec())?;
/// let context = Context::builder().user("bob").build()?;
/// assert_eq!(lines(&message.with_context(context)), ["glance-notify-user: bob"]);
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue<'a> {
    /// A text in UTF-8.
    Text(Cow<'a, str>),
    /// A number.
    Number(i64),
}

impl Message {
    /// Returns context and sequence as headers.
    ///
    /// Transports of brokers send them beside the body, under the names that `docs/brokers.md` lists. A
    /// message with neither has none.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, HeaderValue<'_>)> {
        let context = &self.context;
        let texts = [
            (TRACEPARENT, context.traceparent()),
            (TRACESTATE, context.tracestate()),
            (REQUEST_ID, context.request_id()),
            (USER, context.user()),
            (PROJECT, context.project()),
            (LANE, self.sequence().map(Sequence::lane)),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?.into())));
        let numbered = self.sequence().into_iter().flat_map(|sequence| {
            let epoch = HeaderValue::Text(sequence.epoch().to_string().into());
            let number = i64::try_from(sequence.number()).unwrap_or(i64::MAX);
            [(EPOCH, epoch), (NUMBER, HeaderValue::Number(number))]
        });
        texts.chain(numbered)
    }
}

impl<'a> From<&'a str> for HeaderValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl IncomingDelivery {
    /// Sets context and sequence from the headers of a message. `get` returns the value of a header.
    ///
    /// Another program may have written the headers: this method passes over values that are not valid,
    /// one by one.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::source::{IncomingBody, IncomingDelivery, Position};
    ///
    /// let body = IncomingBody::Bytes("{}".into());
    /// let mut delivery = IncomingDelivery::new(7, body, Position::new("notifications.info", 7));
    /// delivery.read_headers(|name| match name {
    ///     "glance-notify-user" => Some("bob".into()),
    ///     "glance-notify-project" => Some("not\nvalid".into()),
    ///     _ => None,
    /// });
    /// assert_eq!(delivery.context.user(), Some("bob"));
    /// assert_eq!(delivery.context.project(), None);
    /// ```
    pub fn read_headers<'a>(&mut self, get: impl Fn(&'static str) -> Option<HeaderValue<'a>>) {
        let text = |name| match get(name)? {
            HeaderValue::Text(text) => Some(text),
            HeaderValue::Number(_) => None,
        };
        let given = |name| text(name).unwrap_or_default();
        self.context = Context::builder()
            .traceparent(given(TRACEPARENT))
            .tracestate(given(TRACESTATE))
            .request_id(given(REQUEST_ID))
            .user(given(USER))
            .project(given(PROJECT))
            .build_valid();
        let number = match get(NUMBER) {
            Some(HeaderValue::Number(number)) => u64::try_from(number).ok(),
            _ => None,
        };
        self.sequence = Sequence::of_texts(text(EPOCH), text(LANE), number);
    }
}

impl Sequence {
    /// Returns the sequence that another program wrote, if all parts are there and valid.
    pub(super) fn of_texts(
        epoch: Option<Cow<'_, str>>,
        lane: Option<Cow<'_, str>>,
        number: Option<u64>,
    ) -> Option<Self> {
        let epoch = Uuid::try_parse(&epoch?).ok()?;
        let lane = lane.filter(|lane| lane.len() <= MAX_LANE_BYTES && !has_unsafe(lane))?;
        Some(Self::new(epoch, &lane, number?))
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const REQUEST_ID: &str = "glance-notify-request-id";
const USER: &str = "glance-notify-user";
const PROJECT: &str = "glance-notify-project";
const EPOCH: &str = "glance-notify-epoch";
const LANE: &str = "glance-notify-lane";
const NUMBER: &str = "glance-notify-number";

/// The longest name of a lane that is read, in bytes: that of a queue.
const MAX_LANE_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::source::{IncomingBody, Position};

    /// Returns a message without context and sequence.
    fn message() -> Message {
        let body = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.123456","payload":"storage is full"}"#;
        Message::from_body(body.to_vec()).unwrap()
    }

    fn delivery() -> IncomingDelivery {
        IncomingDelivery::new(1, IncomingBody::Bytes("{}".into()), Position::new("q", 1))
    }

    /// Every part that was written is read, and a message without both has no header.
    #[test]
    fn headers_are_read_as_they_were_written() {
        assert_eq!(message().headers().count(), 0);
        let context = Context::builder()
            .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .tracestate("congo=t61rcWkgMzE")
            .request_id("req-1")
            .user("bob")
            .project("web")
            .build()
            .unwrap();
        let sequence = Sequence::new(Uuid::from_u128(7), "notifications.info", 42);
        let sent = message().with_context(context.clone()).with_sequence(sequence.clone());
        let headers: BTreeMap<_, _> = sent.headers().collect();
        assert_eq!(headers.len(), 8);
        assert!(headers.keys().all(|name| !name.starts_with("x-")));
        let mut received = delivery();
        received.read_headers(|name| headers.get(name).cloned());
        assert_eq!((received.context, received.sequence), (context, Some(sequence)));
    }

    /// A sequence that lacks a part, or has a wrong one, is none.
    #[test]
    fn a_wrong_sequence_is_none() {
        let sent = message().with_sequence(Sequence::new(Uuid::from_u128(7), "info", 42));
        let headers: BTreeMap<_, _> = sent.headers().collect();
        let long = "x".repeat(256);
        let wrong = [
            (EPOCH, HeaderValue::Number(7)),
            (EPOCH, "not a UUID".into()),
            (LANE, "a\u{1b}".into()),
            (LANE, long.as_str().into()),
            (NUMBER, "42".into()),
            (NUMBER, HeaderValue::Number(-1)),
        ];
        for (wrong_name, value) in wrong {
            let mut received = delivery();
            received.read_headers(|name| {
                if name == wrong_name { Some(value.clone()) } else { headers.get(name).cloned() }
            });
            assert_eq!(received.sequence, None, "{wrong_name}");
        }
        for missing in [EPOCH, LANE, NUMBER] {
            let mut received = delivery();
            received.read_headers(|name| headers.get(name).filter(|_| name != missing).cloned());
            assert_eq!(received.sequence, None, "{missing}");
        }
    }
}
