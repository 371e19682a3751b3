//! The three drivers of oslo.messaging: `messaging`, `messagingv2` and `log`.

use serde_json::{Map, Value, json};

use crate::reading::{
    ATTRIBUTES, LogLine, SERVICES, bare, enveloped, event_type, lines, logger, object, set, split,
    wire, without_types,
};

/// `SERVICE-v1.jsonl` holds bodies of the driver `messaging`: the notification itself.
#[test]
fn bare_bodies_hold_the_attributes() {
    for service in SERVICES {
        for body in bare(service) {
            let keys = body.keys().filter(|key| !key.starts_with("_context_"));
            assert_eq!(set(keys), set([&ATTRIBUTES[..], &["_unique_id"]].concat()), "{service}");
        }
    }
}

/// `SERVICE-v2.jsonl` holds bodies of the driver `messagingv2`: the same notifications in envelopes,
/// line by line.
#[test]
fn envelopes_hold_the_same_notifications() {
    for service in SERVICES {
        let bare = bare(service);
        let enveloped = enveloped(service);
        assert_eq!(bare.len(), enveloped.len(), "{service}");
        for (bare, mut inner) in bare.into_iter().zip(enveloped) {
            // Each driver adds an id of its own.
            assert_ne!(bare["_unique_id"], inner["_unique_id"], "{service}");
            inner.insert("_unique_id".to_owned(), bare["_unique_id"].clone());
            if event_type(&bare) != "example.values" {
                assert_eq!(without_types(&Value::Object(bare)), Value::Object(inner), "{service}");
            }
        }
    }
}

/// Each driver writes Python's dates and bytes in a form of its own. Glance itself sends bytes: the
/// default of a property in an object of the metadata definitions.
#[test]
fn each_driver_has_its_own_form_of_bytes() {
    let find = |bodies: Vec<Map<String, Value>>, wanted: &str| {
        bodies.into_iter().find(|body| event_type(body) == wanted).unwrap()["payload"].clone()
    };
    let logged = |service: &str| -> Vec<_> {
        let lines = lines(&format!("openstack-2026/{service}.log"));
        lines.iter().map(|line| split(line).notification).collect()
    };
    let date = |bodies| find(bodies, "example.values")["datetime"].clone();
    let text = "2026-01-02T03:04:05.000678";
    assert_eq!(date(bare("oslo")), json!({"__type__": "datetime", "__value__": text}));
    assert_eq!(date(enveloped("oslo")), text);
    assert_eq!(date(logged("oslo")), text);

    let bytes = |bodies| find(bodies, "metadef_object.create")["properties"][0]["default"].clone();
    assert_eq!(bytes(bare("glance")), json!({"__type__": "bytes", "__value__": "disabled"}));
    assert_eq!(bytes(enveloped("glance")), "disabled");
    assert_eq!(bytes(logged("glance")), json!(b"disabled"));
}

/// `SERVICE.log` holds lines of the driver `log`: a prefix of oslo.log, then the notification without
/// its context.
#[test]
fn log_lines_hold_the_same_notifications_after_a_prefix() {
    for service in SERVICES {
        let mut sent = bare(service).into_iter();
        for line in lines(&format!("openstack-2026/{service}.log")) {
            let LogLine { prefix, notification, .. } = split(&line);
            assert!(prefix.contains(&logger(&notification)), "{service}: {prefix}");
            assert_eq!(set(notification.keys()), set(ATTRIBUTES), "{service}");
            // The log lacks some notifications, but keeps their order.
            let sent = sent.find(|sent| sent["message_id"] == notification["message_id"]).unwrap();
            let differs = ["example.values", "metadef_object.create"];
            if !line.contains("***") && !differs.contains(&event_type(&sent).as_str()) {
                assert_eq!(without_types(&sent["payload"]), notification["payload"], "{service}");
            }
        }
    }
}

/// After the notification, oslo.log writes the exception that the service is handling, but only at the
/// level WARNING and above.
#[test]
fn log_lines_of_errors_end_with_the_exception() {
    let lines = lines("openstack-2026/glance.log");
    let split: Vec<_> = lines.iter().map(|line| split(line)).collect();
    let failed = |line: &&LogLine| line.prefix.contains(" ERROR ");
    assert!(split.iter().filter(|line| !failed(line)).all(|line| line.suffix.is_empty()));
    let exception = ": glance_store.exceptions.StorageFull: There is not enough disk space";
    assert!(split.iter().filter(failed).any(|line| line.suffix.starts_with(exception)));
    assert!(split.iter().filter(failed).any(|line| line.suffix.is_empty()));
}

/// The prefix holds the request's ids if there is a request, and `[-]` otherwise.
#[test]
fn log_lines_occur_with_and_without_a_request() {
    let prefixes = |service: &str| -> Vec<String> {
        let lines = lines(&format!("openstack-2026/{service}.log"));
        lines.iter().map(|line| split(line).prefix).collect()
    };
    let has_request = |prefix: &&String| prefix.contains(" req-");
    for service in ["cinder", "glance", "nova"] {
        let prefixes = prefixes(service);
        assert_eq!(prefixes.iter().filter(has_request).count(), prefixes.len(), "{service}");
    }
    let oslo = prefixes("oslo");
    let has_none = |prefix: &&String| prefix.ends_with(" [-]");
    assert_eq!(oslo.iter().filter(has_request).count(), 3);
    assert_eq!(oslo.iter().filter(has_none).count(), 18);
}

/// Containers put a prefix of their own before the line.
#[test]
fn container_logs_hold_one_more_prefix() {
    let formats = [("pebble", "+00:00 [wsgi-glance-api] 2026-"), ("cri", "+00:00 stdout F 2026-")];
    for (format, mark) in formats {
        for line in lines(&format!("openstack-2026/glance-{format}.log")) {
            let LogLine { prefix, notification, .. } = split(&line);
            assert!(prefix.contains(mark), "{prefix}");
            assert!(prefix.contains(&logger(&notification)), "{prefix}");
        }
    }
}

/// With `use_json`, oslo.log writes an object whose `message` is the notification as text.
#[test]
fn json_logs_hold_the_notification_as_text() {
    for line in lines("openstack-2026/glance-json.log") {
        let record = object(&line);
        let logged = object(record["message"].as_str().unwrap());
        assert_eq!(set(logged.keys()), set(ATTRIBUTES));
        assert_eq!(logger(&logged), record["name"]);
        assert!(record["context"]["request_id"].as_str().unwrap().starts_with("req-"));
    }
}

/// The logs in other formats tell the life of one image.
#[test]
fn the_formats_of_a_log_hold_the_same_events() {
    let events = ["create", "update", "prepare", "upload", "activate", "update", "delete"];
    let events: Vec<_> = events.iter().map(|event| format!("image.{event}")).collect();
    let logged = |line: &String| {
        let object = object(&line[line.find('{').unwrap()..]);
        match object.get("message") {
            Some(Value::String(text)) => event_type(&self::object(text)),
            _ => event_type(&object),
        }
    };
    for format in ["cri", "json", "pebble"] {
        let lines = lines(&format!("openstack-2026/glance-{format}.log"));
        assert_eq!(lines.iter().map(logged).collect::<Vec<_>>(), events, "{format}");
    }
}

/// `SERVICE-wire.jsonl` counts every message, with the properties that oslo.messaging always sets.
#[test]
fn wire_files_count_every_message() {
    for service in SERVICES.into_iter().chain(["oslo-lenient"]) {
        let bodies = lines(&format!("openstack-2026/{service}-v1.jsonl")).len();
        assert_eq!(wire(service, ""), 2 * bodies, "{service}");
        for line in lines(&format!("openstack-2026/{service}-wire.jsonl")) {
            let address = object(&line);
            assert_eq!(address["content_type"], "application/json");
            assert_eq!(address["content_encoding"], "utf-8");
            assert_eq!(address["delivery_mode"], 2);
            assert_eq!(address["routing_key"], address["queue"]);
        }
    }
}

/// `oslo-lenient` holds what Python writes and JSON forbids.
#[test]
fn lenient_bodies_are_not_json() {
    for line in lines("openstack-2026/oslo-lenient-v1.jsonl") {
        assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
    }
    for line in lines("openstack-2026/oslo-lenient-v2.jsonl") {
        let envelope = object(&line);
        let inner = envelope["oslo.message"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(inner).is_err(), "{line}");
    }
}
