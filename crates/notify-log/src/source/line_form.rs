//! Tells lines that hold notifications from the other lines of a log.

use memchr::{memchr_iter, memmem};

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
    let has_logger = || LOGGERS.iter().any(|logger| memmem::find(line, logger).is_some());
    match form {
        // A record of oslo.log's `use_json`.
        LineForm::Json => memmem::find(line, LEVEL_NAME).is_none() || has_logger(),
        // A file may change its form in the middle, when its service is configured again.
        LineForm::Log | LineForm::Auto => {
            has_logger() || FIRST_KEYS.iter().any(|key| text.starts_with(key))
        }
    }
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
/// The begins of the lines that the strategy `log` writes, one for each form.
const FIRST_KEYS: [&[u8]; 3] = [b"{\"message_id\"", b"{\"oslo.version\"", b"{\"specversion\""];
/// The names of the loggers that write notifications.
const LOGGERS: [&[u8]; 2] = [b"oslo.messaging.notification.", b"glance.notifier."];

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
