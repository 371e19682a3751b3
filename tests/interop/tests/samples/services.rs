//! The services: which notifications the samples of each of them hold.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::reading::{bare, event_type, set, wire};

/// Glance notifies each event type that its documentation lists, and no other.
#[test]
fn glance_sends_every_documented_event_type() {
    assert_eq!(set(bare("glance").iter().map(event_type)), set(GLANCE_EVENT_TYPES));
}

/// An upload fails in each way that Glance tells apart.
#[test]
fn glance_explains_every_kind_of_failed_upload() {
    let is_error = |body: &&Map<String, Value>| {
        event_type(body) == "image.upload" && body["priority"] == "ERROR"
    };
    let bodies = bare("glance");
    let texts = bodies.iter().filter(is_error).map(|body| body["payload"].as_str().unwrap());
    let texts: Vec<_> = texts.map(anonymous).collect();
    for beginning in UPLOAD_ERRORS {
        assert!(texts.iter().any(|text| text.starts_with(beginning)), "{beginning}: {texts:#?}");
    }
}

/// `image.send` occurs with both priorities, from the store and from the cache.
#[test]
fn glance_sends_images_completely_and_in_part() {
    let bodies = bare("glance");
    for priority in ["INFO", "ERROR"] {
        for from_cache in [false, true] {
            let found = bodies.iter().any(|body| {
                event_type(body) == "image.send"
                    && body["priority"] == priority
                    && body["payload"].get("destination_ip").is_some() == from_cache
            });
            assert!(found, "{priority}, from the cache: {from_cache}");
        }
    }
}

/// The audit filter notifies each request twice, around what Glance notifies.
#[test]
fn the_audit_filter_notifies_requests_and_responses() {
    let bodies = bare("audit");
    let count = |wanted: &str| bodies.iter().filter(|body| event_type(body) == wanted).count();
    assert_eq!(count("audit.http.request"), count("audit.http.response"));
    assert_eq!((count("image.upload"), count("image.delete")), (1, 1));
    let codes = bodies.iter().filter_map(|body| body["payload"]["reason"]["reasonCode"].as_str());
    let codes: BTreeSet<_> = codes.collect();
    assert_eq!(codes, BTreeSet::from(["200", "201", "204", "401", "403", "404"]));
}

/// Nova and Cinder send the context of the request, without the token.
#[test]
fn contexts_hold_no_token() {
    for service in ["nova", "cinder"] {
        for body in bare(service) {
            assert_eq!(body["_context_auth_token"], Value::Null);
            assert_eq!(body["_context_project_name"], "demo");
            assert!(body["_context_request_id"].as_str().unwrap().starts_with("req-"));
        }
    }
}

/// Nova sends its versioned notifications to topics of their own.
#[test]
fn nova_sends_both_formats() {
    let is_versioned =
        |body: &&Map<String, Value>| body["payload"].get("nova_object.version").is_some();
    let bodies = bare("nova");
    let versioned = bodies.iter().filter(is_versioned).count();
    assert!(0 < versioned && versioned < bodies.len());
    assert_eq!(wire("nova", "versioned_notifications."), 2 * versioned);
    assert_eq!(wire("nova", "notifications."), 2 * (bodies.len() - versioned));
}

/// Every priority of oslo.messaging occurs.
#[test]
fn oslo_sends_every_priority() {
    let bodies = bare("oslo");
    let priorities = bodies.iter().map(|body| body["priority"].as_str().unwrap());
    let all = ["AUDIT", "CRITICAL", "DEBUG", "ERROR", "INFO", "SAMPLE", "WARN"];
    assert_eq!(set(priorities), set(all));
}

/// Replaces the ids in a text by `ID`.
fn anonymous(text: &str) -> String {
    let words = text.split_inclusive([' ', ':']).map(|word| {
        let id = word.trim_end_matches([' ', ':']);
        let is_id = id.len() == 36 && id.split('-').count() == 5;
        if is_id { word.replace(id, "ID") } else { word.to_owned() }
    });
    words.collect()
}

/// The event types of `doc/source/admin/notifications.rst` in Glance, as of July 2026, in its order.
const GLANCE_EVENT_TYPES: [&str; 33] = [
    "image.create",
    "image.prepare",
    "image.upload",
    "image.activate",
    "image.send",
    "image.update",
    "image.delete",
    "task.create",
    "task.delete",
    "task.run",
    "task.processing",
    "task.success",
    "task.failure",
    "image.member.create",
    "image.member.update",
    "image.member.delete",
    "metadef_namespace.create",
    "metadef_namespace.update",
    "metadef_namespace.delete",
    "metadef_namespace.delete_objects",
    "metadef_namespace.delete_properties",
    "metadef_namespace.delete_tags",
    "metadef_object.create",
    "metadef_object.update",
    "metadef_object.delete",
    "metadef_property.create",
    "metadef_property.update",
    "metadef_property.delete",
    "metadef_resource_type.create",
    "metadef_resource_type.delete",
    "metadef_tag.create",
    "metadef_tag.update",
    "metadef_tag.delete",
];

/// The beginnings of the texts of failed uploads, one for each branch of `ImageProxy.set_data` in
/// Glance's `notifier.py`.
const UPLOAD_ERRORS: [&str; 9] = [
    "Image storage media is full: ",
    "Insufficient permissions on image storage media: ",
    "Filesystem store operation timed out: ",
    "Cannot save data for image ID: ",
    "Unable to upload duplicate image data for image ID: ",
    "Not allowed to upload image data for image ID: ",
    "Image ID could not be found after upload. The image may have been deleted during the upload: ",
    "Failed to upload image data for image ID due to HTTP error: ",
    "Failed to upload image data for image ID due to internal error: ",
];
