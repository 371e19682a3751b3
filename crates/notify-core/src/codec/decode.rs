//! The decoder: it finds the notification in one line, in each form that senders and this library write.
//!
//! The limits hold before anything is read. [`notification_input`](super::notification_input) reads the
//! attributes of a notification, and [`cloud_event_input`](super::cloud_event_input) those of a CloudEvent.

use std::borrow::Cow;

use super::attributes::Attributes;
use super::cloud_event_input::{is_cloud_event, read_cloud_event};
use super::context::Context;
use super::input_form::json_range;
use super::json_parser::too_large;
use super::limits::SizeLimits;
use super::log_prefix::logger_end;
use super::notification::Notification;
use super::notification_input::{LineContents, NotificationInput, NotificationLine};
use super::problem::{Problem, Problems};
use crate::error::{ErrorKind, Result};

impl<'a> LineContents<'a> {
    /// Reads one line of input within `limits`, in any form that [`NotificationInput::decode`] describes.
    ///
    /// # Errors
    ///
    /// Returns all problems, as [`NotificationInput::decode_with_warnings`] does.
    pub(crate) fn decode(line: &'a [u8], limits: &SizeLimits) -> Result<Self, Problems> {
        let invalid = |problem| Problems::one(ErrorKind::Invalid, problem);
        let check_size = |bytes| limits.check_size(bytes).map_err(|error| too_large(&error));
        let range = json_range(line).map_err(invalid)?;
        let bytes = range.len();
        if bytes > limits.envelope_bytes() {
            check_size(bytes)?;
        }
        let attributes = Attributes::parse(line, range, limits)?;
        if is_cloud_event(&attributes) {
            let contents = read_cloud_event(attributes)?;
            check_size(contents.payload.get().len())?;
            return Ok(contents);
        }
        let mut contents = match attributes.oslo_message().map_err(invalid)? {
            None => {
                check_size(bytes)?;
                Self::read(attributes)?
            }
            Some(message) => check_size(message.len())
                .and_then(|()| Attributes::parse(message.as_bytes(), 0..message.len(), limits))
                .and_then(|attributes| LineContents::read(attributes).map(LineContents::into_owned))
                .map_err(|problems| problems.inside("/oslo.message"))?,
        };
        contents.context = Context::of_log_line(line);
        Ok(contents)
    }
}

impl NotificationLine {
    /// Reads one line of input within `limits`, in any form that [`NotificationInput::decode`] describes.
    ///
    /// # Errors
    ///
    /// Returns all problems, as [`NotificationInput::decode_with_warnings`] does.
    pub fn decode(line: &[u8], limits: &SizeLimits) -> Result<Self, Problems> {
        LineContents::decode(line, limits).map(LineContents::into_line)
    }

    /// Returns `true` if oslo.messaging's driver `log`, or Glance's notifier of 2013, wrote this line of a log.
    ///
    /// The name of the logger may also stand in a line of another logger, such as one about a request. Such a
    /// line holds no notification. This method looks at no JSON: neither at that behind the name nor at
    /// a record of oslo.log's `use_json`.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::codec::NotificationLine;
    ///
    /// let line = b"2026-11-22 12:54:26 7 INFO oslo.messaging.notification.image.create [-] {}";
    /// assert!(NotificationLine::is_of_log_driver(line));
    /// let line = b"2026-11-22 12:54:26 7 INFO eventlet [-] GET /?oslo.messaging.notification.x{} 404";
    /// assert!(!NotificationLine::is_of_log_driver(line));
    /// ```
    pub fn is_of_log_driver(line: &[u8]) -> bool {
        logger_end(line).is_some()
    }
}

/// Returns the JSON text of the notification on one line: the line without the prefix of a log and without the
/// envelope around it. A CloudEvent is such a text itself.
///
/// Returns `None` for a line that [`NotificationInput::decode`] refuses for its form.
#[doc(hidden)]
pub fn notification_json<'a>(line: &'a [u8], limits: &SizeLimits) -> Option<Cow<'a, str>> {
    let range = json_range(line).ok()?;
    let attributes = Attributes::parse(line, range.clone(), limits).ok()?;
    if !is_cloud_event(&attributes)
        && let Some(message) = attributes.oslo_message().ok()?
    {
        return Some(message);
    }
    std::str::from_utf8(&line[range]).ok().map(Cow::Borrowed)
}

impl NotificationInput {
    /// Reads one line of input within `limits`.
    ///
    /// The line has one of these forms, with or without a byte order mark of UTF-8:
    ///
    /// * bare JSON: the notification, as this library and oslo.messaging's driver `messaging` send it
    /// * envelope 2.0 of oslo.messaging, whose `oslo.message` holds the notification as a string;
    ///   `limits` apply to that string, and the envelope may be [larger](SizeLimits::bytes)
    /// * a [`CloudEvent`](super::CloudEvent) in structured mode, if its type begins with `org.openstack.` and it
    ///   has the attributes `id`, `source`, `time`, `priority` and `data`. Other CloudEvents are refused: they
    ///   are no notifications
    /// * a line of a log file that oslo.messaging's driver `log` wrote: times, names and a level, then
    ///   `oslo.messaging.notification.EVENT_TYPE [context]`, then the notification; or the same as an
    ///   object of oslo.log's `use_json`. A line of another logger is refused, whatever it holds:
    ///   [`is_of_log_driver`](NotificationLine::is_of_log_driver) tells them apart
    ///
    /// Reading accepts a payload of any shape and keeps it as it is, as [`ReadEvent`](crate::event::ReadEvent). Ask
    /// [`ReadEvent::to_event`](crate::event::ReadEvent::to_event) whether it has the documented shape.
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
        let NotificationLine { input, warnings, .. } = NotificationLine::decode(line, limits)?;
        Ok((input, warnings))
    }
}

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
        LineContents::decode(json, &SizeLimits::default())?.into_notification()
    }
}
