//! Input: notifications read from one line, with or without an envelope.
//!
//! Reading trusts nothing in the line. It keeps the limits, reports every problem at its JSON pointer,
//! and repeats no value that may be a secret.

use uuid::Uuid;

use super::attributes::Attributes;
use super::input_form::json_range;
use super::limits::SizeLimits;
use super::notification::Notification;
use super::problem::{Problem, Problems};
use super::timestamp::parse_time;
use crate::error::{Error, ErrorKind, Result};
use crate::event::event_type::{EXPECTED as EXPECTED_NAME, EventType};
use crate::event::priority::Priority;
use crate::event::read_event::ReadEvent;
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

impl NotificationInput {
    /// Reads one line of input within `limits`.
    ///
    /// The line has one of these forms, with or without a byte order mark of UTF-8:
    ///
    /// * bare JSON: the notification, as this library and oslo.messaging's driver `messaging` send it
    /// * envelope 2.0 of oslo.messaging, whose `oslo.message` holds the notification as a string;
    ///   `limits` apply to the envelope and to that string
    /// * a line of a log file that oslo.messaging's driver `log` wrote: anything, then
    ///   `oslo.messaging.notification.EVENT_TYPE [context]`, then the notification; or the same as an
    ///   object of oslo.log's `use_json`
    ///
    /// Reading accepts a payload of any shape and keeps it as it is, as [`ReadEvent`]. Ask
    /// [`ReadEvent::to_event`] whether it has the documented shape.
    ///
    /// Reading drops attributes of the envelope that begin with `_`. They belong to oslo.messaging and can
    /// hold a user's token. It drops the attributes that other tools add, too:
    /// [`decode_with_warnings`](Self::decode_with_warnings) names them.
    ///
    /// # Errors
    ///
    /// Returns all problems of the line, each with its JSON pointer, the expectation and the finding.
    /// A line that is not JSON, or exceeds a limit, has one problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::codec::{NotificationInput, SizeLimits};
    ///
    /// let line = br#"2026-11-22 12:54:26.539 7 ERROR oslo.messaging.notification.image.upload [-]
    ///     {"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
    /// assert!(NotificationInput::decode(line, &SizeLimits::default()).is_ok());
    /// ```
    pub fn decode(line: &[u8], limits: &SizeLimits) -> Result<Self, Problems> {
        Self::decode_with_warnings(line, limits).map(|(input, _)| input)
    }

    /// Does the same as [`decode`](Self::decode), and returns a warning for each attribute that is not one
    /// of the six and does not begin with `_`.
    ///
    /// Yagi, for example, adds `original_message_id`. The input does not hold such an attribute.
    ///
    /// # Errors
    ///
    /// Returns all problems, as `decode` does. Unknown attributes are among them: one may be a misspelt
    /// name of an attribute that is missing.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::codec::{NotificationInput, SizeLimits};
    ///
    /// let line = br#"{"event_type": "image.upload", "priority": "ERROR", "payload": "", "topic": 1}"#;
    /// let (_, warnings) = NotificationInput::decode_with_warnings(line, &SizeLimits::default())?;
    /// assert_eq!(warnings[0].to_string(), "/topic: unknown attribute `topic`");
    /// # Ok::<(), notify_core::codec::Problems>(())
    /// ```
    pub fn decode_with_warnings(
        line: &[u8],
        limits: &SizeLimits,
    ) -> Result<(Self, Vec<Problem>), Problems> {
        let invalid = |problem| Problems::one(ErrorKind::Invalid, problem);
        let range = json_range(line).map_err(invalid)?;
        let attributes = Attributes::parse(line, range, limits)?;
        let Some(message) = attributes.oslo_message().map_err(invalid)? else {
            return Self::read(attributes);
        };
        Attributes::parse(message.as_bytes(), 0..message.len(), limits)
            .and_then(Self::read)
            .map_err(|problems| problems.inside("/oslo.message"))
    }

    /// Reads the attributes of a notification.
    fn read(mut attributes: Attributes<'_>) -> Result<(Self, Vec<Problem>), Problems> {
        let has_envelope = ATTRIBUTES[..3].iter().any(|key| attributes.has(key));
        let envelope = has_envelope.then(|| {
            let message_id = attributes.parsed(
                "message_id",
                || "a UUID with dashes".into(),
                |text| if text.len() == 36 { Uuid::try_parse(text).ok() } else { None },
                quoted,
            );
            let publisher_id = attributes.parsed(
                "publisher_id",
                || "a string".into(),
                |id| Some(id.into()),
                quoted,
            );
            let timestamp = attributes.parsed(
                "timestamp",
                || "a time such as 2026-11-22 12:00:00.123456".into(),
                parse_time,
                |_| "a string that is not a time".into(),
            );
            Some((message_id?, publisher_id?, timestamp?))
        });
        let event_type = attributes.parsed(
            "event_type",
            || EXPECTED_NAME.into(),
            |name| EventType::new(name).ok(),
            quoted,
        );
        let priority = attributes.parsed(
            "priority",
            || one_of(&Priority::ALL.iter().map(|priority| priority.as_str()).collect::<Vec<_>>()),
            |word| word.parse().ok(),
            quoted,
        );
        let payload = attributes.value("payload", "a payload").map(ToOwned::to_owned);
        let known = if has_envelope { &ATTRIBUTES[..] } else { &ATTRIBUTES[3..] };
        let (mut problems, warnings) = attributes.into_problems(known);
        let input = || {
            let event = ReadEvent::new(event_type?, priority?, payload?);
            let Some(envelope) = envelope else { return Some(Self::Event(event)) };
            let (message_id, publisher_id, timestamp) = envelope?;
            let payload = event.into();
            Some(Self::Notification(Notification { message_id, publisher_id, timestamp, payload }))
        };
        match input() {
            Some(input) if problems.is_empty() => Ok((input, warnings)),
            _ => {
                problems.extend(warnings);
                Err(Problems::new(ErrorKind::Invalid, problems))
            }
        }
    }
}

/// The attributes of a notification. An event without an envelope lacks the first three.
const ATTRIBUTES: [&str; 6] =
    ["message_id", "publisher_id", "timestamp", "event_type", "priority", "payload"];

impl Notification {
    /// Reads a notification within the default [`SizeLimits`].
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Invalid`] or [`ErrorKind::TooLarge`] with the first
    /// problem at its JSON pointer. [`NotificationInput::decode`] returns all problems.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Notification;
    ///
    /// let error = Notification::decode(b"not json").unwrap_err();
    /// assert_eq!(error.to_string(), "not JSON: unexpected character at column 2");
    /// ```
    pub fn decode(json: &[u8]) -> Result<Self> {
        match NotificationInput::decode(json, &SizeLimits::default())? {
            NotificationInput::Notification(notification) => Ok(notification),
            NotificationInput::Event(_) => Err(Error::new(
                ErrorKind::Invalid,
                "/message_id: missing, expected a UUID with dashes",
            )),
        }
    }
}
