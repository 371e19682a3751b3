//! Tells lines that hold notifications from the other lines of a log.

use memchr::{memchr_iter, memmem};
use notify_core::codec::NotificationLine;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::source_config::LineForm;

/// Returns the form of a file, decided by its first line `line` if it is [`LineForm::Auto`].
pub(super) fn form_of(form: LineForm, line: &[u8]) -> LineForm {
    if form != LineForm::Auto {
        return form;
    }
    let text = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
    if text.starts_with(b"{") { LineForm::Json } else { LineForm::Log }
}

/// Returns `true` if a line may hold a notification, so that the listener must read it.
pub(super) fn may_hold_notification(form: LineForm, line: &[u8]) -> bool {
    let text = line.trim_ascii();
    if text.is_empty() {
        return false;
    }
    // A record of oslo.log's `use_json` has the name of its logger at any place.
    let has_logger = || match text {
        [b'{', ..] => memmem::find(text, LOGGER).is_some(),
        _ => NotificationLine::is_of_log_driver(line),
    };
    let has_first_key = || FIRST_KEYS.iter().any(|key| text.starts_with(key));
    match form {
        // A record of oslo.log's `use_json`. An image may have a property or a tag with that name.
        LineForm::Json => {
            memmem::find(line, LEVEL_NAME).is_none()
                || has_logger()
                || has_first_key()
                || has_notification_key(text)
        }
        // A file may change its form in the middle, when its service is configured again.
        LineForm::Log | LineForm::Auto => has_logger() || has_first_key(),
    }
}

/// Returns `true` if an object has a key that every notification has in one of its forms, and no record of
/// oslo.log.
///
/// A record may hold such a key in a value, which does not count.
fn has_notification_key(object: &[u8]) -> bool {
    if !NOTIFICATION_KEYS.iter().any(|key| memmem::find(object, key).is_some()) {
        return false;
    }
    match serde_json::from_slice(object) {
        Ok(NotificationKeys { event_type, specversion, oslo_message }) => {
            [event_type, specversion, oslo_message].iter().any(Option::is_some)
        }
        // The listener tells why it cannot read the line.
        Err(_) => true,
    }
}

/// The values of [`NOTIFICATION_KEYS`] in an object.
#[derive(Deserialize)]
struct NotificationKeys {
    event_type: Option<IgnoredAny>,
    specversion: Option<IgnoredAny>,
    #[serde(rename = "oslo.message")]
    oslo_message: Option<IgnoredAny>,
}

/// Returns the number of whole lines that may hold notifications.
pub(super) fn count_notifications(form: LineForm, lines: &[u8]) -> u64 {
    let has_records = form != LineForm::Json || memmem::find(lines, LEVEL_NAME).is_some();
    let mut start = 0;
    let may_hold = |end: &usize| {
        let line = &lines[start..*end];
        start = end + 1;
        (!has_records && line.starts_with(b"{")) || may_hold_notification(form, line)
    };
    memchr_iter(b'\n', lines).filter(may_hold).count() as u64
}

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The key that every record of oslo.log's `use_json` has.
const LEVEL_NAME: &[u8] = b"\"levelname\"";
/// The keys of which every notification has one, whatever the order of its keys.
const NOTIFICATION_KEYS: [&[u8]; 3] = [b"\"event_type\"", b"\"specversion\"", b"\"oslo.message\""];
/// The begins of the lines that the strategy `log` writes, one for each form.
const FIRST_KEYS: [&[u8]; 3] = [b"{\"message_id\"", b"{\"oslo.version\"", b"{\"specversion\""];
/// The beginning of the names of the loggers that write notifications.
const LOGGER: &[u8] = b"oslo.messaging.notification.";

#[cfg(test)]
mod tests {
    use super::*;

    /// Tracebacks, requests and records of other loggers are no notifications.
    #[test]
    fn skips_lines_of_other_loggers() {
        let other = b"2026-11-22 12:54:26.539 7 INFO eventlet.wsgi [-] GET /v2/images {}";
        let ours = b"2026-11-22 12:54:26 7 INFO oslo.messaging.notification.image.create [-] {}";
        let record = br#"{"message": "started", "name": "glance.api", "levelname": "INFO"}"#;
        assert_eq!(form_of(LineForm::Auto, other), LineForm::Log);
        assert_eq!(form_of(LineForm::Auto, b"\xef\xbb\xbf{\"a\":1}"), LineForm::Json);
        assert!(!may_hold_notification(LineForm::Log, other));
        assert!(may_hold_notification(LineForm::Log, ours));
        assert!(!may_hold_notification(LineForm::Json, record));
        assert!(may_hold_notification(LineForm::Json, b"poison"));
        assert!(!may_hold_notification(LineForm::Json, b" \r"));
        // A service may get another configuration in the middle of a file.
        let record =
            br#"{"name": "oslo.messaging.notification.x", "message": "{}", "levelname": "INFO"}"#;
        for form in [LineForm::Json, LineForm::Log] {
            assert!(may_hold_notification(form, record));
        }
    }

    /// A stranger chooses the target of a request, and a text that a service prints, but no logger.
    #[test]
    fn skips_lines_of_other_loggers_that_hold_a_notification() {
        let notification = r#"oslo.messaging.notification.x{"message_id":"m","event_type":"x"}"#;
        for start in [
            "2026-11-24 12:00:00.100 7 INFO eventlet.wsgi [-] \"GET /v2/images?x=",
            "2026-11-24 12:00:00.100 7 INFO eventlet.wsgi [-] \"GET ",
            "2026-11-24 12:00:00.100 7 DEBUG glance [-] read 2026-11-24 12:00:00.050 7 INFO ",
        ] {
            let line = format!("{start}{notification} HTTP/1.1\" 200");
            assert!(!may_hold_notification(LineForm::Log, line.as_bytes()), "{line}");
        }
    }

    /// The name of an image, a tag or a property hides no notification, in whatever order its keys are.
    #[test]
    fn a_text_in_a_notification_does_not_make_it_a_record() {
        for line in [
            r#"{"message_id":"m","event_type":"image.create","payload":{"name":"levelname"}}"#,
            r#"{"message_id":"m","event_type":"image.create","payload":{"levelname":"x"}}"#,
            r#"{"payload": {"tags": ["levelname"]}, "event_type": "image.create"}"#,
            r#"{"id":"m","specversion":"1.0","data":{"name":"levelname"}}"#,
            r#"{"oslo.message": "{}", "oslo.version": "2.0", "x": "levelname"}"#,
            r#"{"payload": {"name": "levelname"}, "event_type""#,
        ] {
            assert!(may_hold_notification(LineForm::Json, line.as_bytes()), "{line}");
        }
        for record in [
            r#"{"message": "{\"event_type\": 1}", "levelname": "INFO"}"#,
            r#"{"args": ["event_type"], "levelname": "INFO"}"#,
            r#"{"args": {"event_type": "image.create"}, "levelname": "INFO"}"#,
        ] {
            assert!(!may_hold_notification(LineForm::Json, record.as_bytes()), "{record}");
        }
    }

    /// Lines that are skipped together count as they would one by one.
    #[test]
    fn counts_the_lines_that_may_hold_notifications() {
        let lines = b"{}\n\n \r\n{\"levelname\": \"INFO\"}\npoison\n\
                      7 INFO oslo.messaging.notification.image.create [-] {}\n";
        assert_eq!(count_notifications(LineForm::Json, lines), 3);
        assert_eq!(count_notifications(LineForm::Log, lines), 1);
        assert_eq!(count_notifications(LineForm::Json, b"{}\n\n{}\n"), 2);
        assert_eq!(count_notifications(LineForm::Json, b""), 0);
    }
}
