//! The forms of input: what oslo.messaging writes is read, and anything else is named.

use insta::assert_snapshot;
use notify_core::Notification;
use notify_core::codec::{Encoding, NotificationInput, serde_json};

use crate::fixtures::{notification, text};
use crate::reading::read;
use crate::support::image_create;

/// A whole notification.
const BARE: &str = r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.upload","priority":"ERROR","timestamp":"2026-11-22 12:00:00.500000","payload":"{full}"}"#;

/// Reads a line and writes the notification again.
#[track_caller]
fn rewritten(line: &str) -> String {
    match read(line) {
        Ok(NotificationInput::Notification(notification)) => {
            text(&notification.encode(&Encoding::default()).unwrap()).to_owned()
        }
        other => panic!("{line} was read as {other:?}"),
    }
}

/// Wraps a text in an envelope of oslo.messaging.
fn envelope(version: &str, message: &str) -> String {
    format!(r#"{{"oslo.version": {version}, "oslo.message": {message}}}"#)
}

/// The only problem of a line.
#[track_caller]
fn problem(line: impl AsRef<[u8]>) -> String {
    let limits = notify_core::codec::SizeLimits::default();
    let problems = NotificationInput::decode(line.as_ref(), &limits).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "{problems}");
    problems.to_string()
}

/// A byte order mark, the prefixes of log files and containers, and both orders of the envelope's keys.
#[test]
fn reads_every_form_of_oslo_messaging() {
    let string = serde_json::to_string(BARE).unwrap();
    for line in [
        BARE.to_owned(),
        format!("\u{feff}{BARE}\r"),
        envelope("\"2.0\"", &string),
        format!(r#"{{"oslo.message":{string},"oslo.version":"2.0"}}"#),
        format!(
            "2026-11-22 12:54:26.539 7 ERROR oslo.messaging.notification.image.upload [-] {BARE}"
        ),
        format!(
            "2026-11-22T12:54:26.5Z stdout F 2026-11-22 12:54:26.539 7 ERROR \
                 oslo.messaging.notification.image.upload [None req-1 user project - - {BARE}"
        ),
        format!(
            "glance_api  | 2026-11-22 12:54:26 oslo.messaging.notification.image.upload {BARE}"
        ),
        format!("2026-11-22 ERROR oslo.messaging.notification.x [-] {BARE}: ValueError: {{}}"),
        format!(
            r#"{{"name":"oslo.messaging.notification.x","levelname":"ERROR","message":{string}}}"#
        ),
    ] {
        assert_eq!(rewritten(&line), BARE, "{line}");
    }
}

/// Strangers choose the target of a request and other texts in the lines of a log. They must not be able to forge
/// an event.
#[test]
fn refuses_a_notification_in_the_line_of_another_logger() {
    let eventlet = "2026-11-24 12:00:00.100 7 INFO eventlet.wsgi.server [None req-1 mallory p - -] \
                    203.0.113.9 - - [24/Nov/2026 12:00:00]";
    let uwsgi = "[pid: 7|app: 0|req: 1/1] 203.0.113.9 () {44 vars in 600 bytes} [Tue Nov 24 2026]";
    for start in [
        format!("{eventlet} \"GET /v2/images?x="),
        format!("{eventlet} \"GET "),
        format!("{eventlet} code 400, message Bad request syntax ('GET INFO "),
        "\u{1b}[00;36mINFO eventlet.wsgi.server [-] 203.0.113.9 \"GET ".to_owned(),
        format!("{uwsgi} INFO "),
        format!("{uwsgi} GET / => generated 9 bytes in 1 msecs ("),
        "203.0.113.9 - - [24/Nov/2026:12:00:00 +0000] \"GET /v2/images?x=".to_owned(),
        "2026-11-24 12:00:00.100 7 DEBUG glance [-] read 2026-11-24 12:00:00.050 INFO ".to_owned(),
        "2013-11-24 12:00:00 TRACE glance ".to_owned(),
    ] {
        for end in ["", " [-] "] {
            let line = format!("{start}oslo.messaging.notification.image.upload{end}{BARE} 200");
            assert!(read(&line).is_err(), "{line}");
        }
    }
    // The name of a container hides no notification.
    let name = "x-oslo.messaging.notification.1 | 2026-11-22 7 INFO ";
    let line = format!("{name}oslo.messaging.notification.image.upload [-] {BARE}");
    assert_eq!(rewritten(&line), BARE);
}

/// A name that occurs often takes linear time.
#[test]
fn looks_for_the_logger_in_one_pass() {
    let name = "oslo.messaging.notification.";
    for part in [name.to_owned(), format!(" {name}"), format!("INFO x {name}")] {
        let line = part.repeat(1024 * 1024 / part.len()) + "{}";
        assert!(read(&line).is_err(), "{part}");
    }
}

/// The envelope that the transports send is one that reading accepts.
#[test]
fn reads_its_own_envelope() {
    let message = notification(image_create()).encode(&Encoding::default()).unwrap();
    let read = Notification::decode(&message.oslo_v2()).unwrap();
    assert_eq!(read.encode(&Encoding::default()).unwrap().body(), message.body());
}

/// The problems of an envelope lie at its keys, and those of the notification in it at its own.
#[test]
fn names_the_problem_of_an_envelope() {
    let inner = r#""{\"event_type\":\"image.upload\",\"priority\":\"ERROR\"}""#;
    let deep = format!("\"{}\"", "[".repeat(65) + &"]".repeat(65));
    let lines = [
        envelope("\"2.1\"", "\"{}\""),
        envelope("2.0", "\"{}\""),
        r#"{"oslo.message": "{}"}"#.to_owned(),
        r#"{"oslo.version": "2.0"}"#.to_owned(),
        envelope("\"2.0\"", "{}"),
        envelope("\"2.0\"", "\"[]\""),
        envelope("\"2.0\"", "\"{\""),
        envelope("\"2.0\"", inner),
        envelope("\"2.0\"", &deep),
    ];
    assert_snapshot!(lines.map(problem).join("\n"));
}

/// Each sentence names the thing and says what to do.
#[test]
fn names_an_input_that_is_not_a_line_of_json() {
    let number = |number: &str| {
        let payload = format!("{{\"size\": {number}}}");
        format!(r#"{{"event_type":"image.upload","priority":"INFO","payload":{payload}}}"#)
    };
    let lines: [Vec<u8>; 15] = [
        b"\x1f\x8b\x08\x00".to_vec(),
        b"\xff\xfe{\0\"\0".to_vec(),
        b"{\0\"\0m\0".to_vec(),
        b"{".to_vec(),
        b" {\r".to_vec(),
        format!("[{BARE}]").into_bytes(),
        b"[".to_vec(),
        b"{'message_id': '6b9d4b8a', 'payload': None}".to_vec(),
        b"{u'message_id': u'6b9d4b8a'}".to_vec(),
        b"2013-11-22 12:54:26 INFO glance.notifier.notify_log [-] {'message_id': '6b9d4b8a'}"
            .to_vec(),
        number("NaN").into_bytes(),
        number("Infinity").into_bytes(),
        number("-Infinity").into_bytes(),
        b"2026-11-22 12:54 INFO oslo.messaging.notification.image.upload [-] {\"a\": 1,}".to_vec(),
        BARE.replace("2026-11-22 12:00:00.500000", "12:00").into_bytes(),
    ];
    assert_snapshot!(lines.map(problem).join("\n"));
}
