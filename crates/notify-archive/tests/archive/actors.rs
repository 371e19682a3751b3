//! Actors come from evidence, and never from the owner.

use notify_archive::question::{ActorEvidence, ActorFinding, AuditTrail, Timeline};
use notify_archive::record::{EventRecord, RecordReader};
use notify_core::{Context, EventType, Priority};
use proptest::prelude::*;
use serde_json::json;
use time::PrimitiveDateTime;

use crate::samples::{read_all, sample};

const IMAGE: &str = "7290aba0-ea68-429f-a9ec-7df334e091e2";

/// In what OpenStack's own code wrote, the audit events name the user of each request.
#[test]
fn audit_events_name_the_actor() {
    let records = read_all(&sample("openstack-2026/audit-v1.jsonl"));
    let actors = actors_of(&records);
    let name_of = |event_type: &str| {
        let (_, finding) = actors
            .iter()
            .rev()
            .find(|(record, _)| record.event_type.as_str() == event_type)
            .unwrap();
        finding.to_string()
    };
    assert_eq!(name_of("image.delete"), "alice", "bob's request to delete was refused");
    assert_eq!(name_of("image.member.update"), "bob");
    assert_eq!(name_of("image.update"), "admin", "admin deactivated the image");
    assert_eq!(name_of("image.upload"), "alice");
    assert_eq!(name_of("image.send"), "alice");
    // The path of a POST names no image.
    assert_eq!(name_of("image.create"), "unknown");
}

/// oslo.log's prefix names the actor of every event, except where it shows another request.
#[test]
fn log_prefixes_name_the_actor() {
    let records = read_all(&sample("openstack-2026/audit.log"));
    for (record, finding) in actors_of(&records) {
        if record.is_audit() {
            assert_eq!(record.context.user(), None, "the prefix shows the request before");
            continue;
        }
        let actor = finding.actor().unwrap_or_else(|| panic!("{record:?}"));
        let expected = match record.event_type.as_str() {
            "image.create" => ActorEvidence::Sender,
            _ => ActorEvidence::AuditEvent,
        };
        assert_eq!(actor.evidence, expected, "{}", record.event_type);
        assert_eq!(Some(actor.user_id.as_str()), record.context.user());
    }
}

/// A user that only the context names is no proven actor: any program with access to the broker can write a context.
/// An audit event that names the same user is the stronger evidence.
#[test]
fn an_actor_of_a_context_is_named_by_the_sender() {
    let mut delete = event("image.delete", "12:00:05", &json!({"id": IMAGE, "owner": "web"}));
    delete.context = Context::builder().user("mallory").build().unwrap();
    let mut trail = AuditTrail::default();
    let evidence =
        |trail: &AuditTrail| trail.actor_of(&delete).actor().unwrap().evidence.to_string();
    assert_eq!(evidence(&trail), "named by the sender");
    let path = format!("/v2/images/{IMAGE}");
    for record in request("mallory", "delete", &path, "success", ["12:00:04", "12:00:06"]) {
        trail.add(&record);
    }
    assert_eq!(evidence(&trail), "audit event");
}

/// A request that was refused, that has no outcome, that was long ago, or of another method or image is no
/// evidence. Requests of two users at one time name neither.
#[test]
fn unfit_requests_name_no_actor() {
    let delete = event("image.delete", "12:00:05", &json!({"id": IMAGE, "owner": "web"}));
    let path = format!("/v2/images/{IMAGE}");
    let fit = |user, action, path: &str, outcome, times: [&str; 2]| {
        let mut trail = AuditTrail::default();
        for record in request(user, action, path, outcome, times) {
            trail.add(&record);
        }
        trail.actor_of(&delete).to_string()
    };
    let near = ["12:00:04", "12:00:06"];
    assert_eq!(fit("u", "delete", &path, "success", near), "u");
    assert_eq!(fit("u", "delete", &path, "failure", near), "unknown");
    assert_eq!(fit("u", "update", &path, "success", near), "unknown");
    assert_eq!(fit("u", "delete", &format!("{path}/tags/x"), "success", near), "unknown");
    assert_eq!(fit("u", "delete", &path.replace('7', "8"), "success", near), "unknown");
    assert_eq!(fit("u", "delete", &path, "success", ["11:00:04", "11:00:06"]), "unknown");
    assert_eq!(fit("unknown", "delete", &path, "success", near), "unknown");

    let mut trail = AuditTrail::default();
    trail.add(&request("u", "delete", &path, "success", near)[0]);
    assert_eq!(trail.actor_of(&delete).to_string(), "unknown", "no outcome");
    for user in ["u", "v"] {
        for record in &request(user, "delete", &path, "success", near) {
            trail.add(record);
        }
    }
    let ActorFinding::Unknown(reason) = trail.actor_of(&delete) else { panic!() };
    assert!(reason.contains("different users"));
}

/// Half a surrogate pair in the name of a user hides neither the request nor the user.
#[test]
fn half_a_surrogate_pair_hides_no_actor() {
    let path = format!("/v2/images/{IMAGE}");
    let mut trail = AuditTrail::default();
    for record in request("u", "delete", &path, "success", ["12:00:04", "12:00:06"]) {
        let body = std::str::from_utf8(&record.body).unwrap();
        let body = body.replace(r#""project_id":"p""#, r#""project_id":"p","name":"caf\udce9""#);
        let record = RecordReader::new("test").read(body.as_bytes()).unwrap();
        assert_eq!(record.subject.as_deref(), Some(IMAGE));
        trail.add(&record);
    }
    let delete = event("image.delete", "12:00:05", &json!({ "id": IMAGE }));
    assert_eq!(trail.actor_of(&delete).to_string(), "caf\u{fffd}");
}

/// A time at the end of the calendar, as a broken clock sends it, ends no question.
#[test]
fn a_time_at_the_end_of_the_calendar_ends_no_question() {
    let path = format!("/v2/images/{IMAGE}");
    let mut records = request("u", "delete", &path, "success", ["12:00:04", "12:00:06"]).to_vec();
    for event_type in ["image.prepare", "image.send", "image.delete"] {
        records.push(event(event_type, "12:00:05", &json!({"id": IMAGE, "image_id": IMAGE})));
    }
    let mut failure = event("image.upload", "12:00:05", &json!({}));
    failure.priority = Priority::Error;
    records.push(failure);
    for time in [PrimitiveDateTime::MIN, PrimitiveDateTime::MAX] {
        let mut timeline = Timeline::new(IMAGE);
        for record in &mut records {
            record.timestamp = time.assume_utc();
            timeline.add(record);
        }
        let answer = timeline.finish();
        let deleted =
            answer.entries.iter().find(|entry| entry.record.event_type == EventType::ImageDelete);
        assert_eq!(deleted.unwrap().actor.to_string(), "u", "{time}");
    }
}

/// Any user can read an image as often as they like, and ask for it after its deletion. That hides no actor, and the
/// answer has the refused requests only.
#[test]
fn a_flood_of_reads_hides_no_actor() {
    let path = format!("/v2/images/{IMAGE}");
    let flood = |hour: u32, outcome| {
        let clocks = (0..1000).map(move |n| format!("{hour}:{:02}:{:02}", n / 60, n % 60));
        clocks.flat_map(move |clock| {
            let path = format!("/v2/images/{IMAGE}");
            request("mallory", "read", &path, outcome, [clock.as_str(), clock.as_str()])
        })
    };
    let mut timeline = Timeline::new(IMAGE);
    let deletion = request("alice", "delete", &path, "success", ["12:00:04", "12:00:06"]);
    let event = event("image.delete", "12:00:05", &json!({"id": IMAGE, "owner": "web"}));
    let records = flood(11, "success").chain(deletion).chain([event]).chain(flood(12, "failure"));
    for record in records {
        timeline.add(&record);
    }
    let entries = timeline.finish().entries;
    assert_eq!(entries.len(), 1001);
    let is_deletion = |record: &EventRecord| record.event_type == EventType::ImageDelete;
    let deleted = entries.iter().find(|entry| is_deletion(&entry.record)).unwrap();
    assert_eq!(deleted.actor.to_string(), "alice");
    let mut refused = entries.iter().filter(|entry| !is_deletion(&entry.record));
    assert!(refused.all(|entry| entry.actor.to_string() == "mallory"));
}

/// A question by name knows the image late. Until then, reads displace no evidence.
#[test]
fn reads_displace_no_evidence_of_a_name() {
    let path = format!("/v2/images/{IMAGE}");
    let mut timeline = Timeline::new("debian-12");
    for record in request("alice", "delete", &path, "success", ["12:00:04", "12:00:06"]) {
        timeline.add(&record);
    }
    // A question keeps 200 000 records until it knows the ids of the name.
    let [read, _] = request("mallory", "read", &path, "success", ["12:00:04", "12:00:06"]);
    for _ in 0..200_000 {
        timeline.add(&read);
    }
    timeline.add(&event("image.delete", "12:00:05", &json!({"id": IMAGE, "name": "debian-12"})));
    let answer = timeline.finish();
    let actors: Vec<_> = answer.entries.iter().map(|entry| entry.actor.to_string()).collect();
    assert_eq!(actors, ["alice"]);
    assert_eq!(answer.anomalies, [""; 0]);
}

proptest! {
    /// The owner of an image appears in no actor, whatever happens to the image: only audit events and log
    /// prefixes name users here, and the owner is none of them.
    #[test]
    fn no_report_names_an_owner_as_actor(
        kinds in prop::collection::vec((0_usize..KINDS.len(), 0_u32..3600, any::<bool>()), 1..40),
    ) {
        let mut records = Vec::new();
        for (index, (kind, second, logged)) in kinds.into_iter().enumerate() {
            let clock = format!("12:{:02}:{:02}", second / 60, second % 60);
            let (event_type, action, below) = KINDS[kind];
            let payload = json!({"id": IMAGE, "image_id": IMAGE, "owner": "the-owner", "owner_id": "the-owner",
                "receiver_tenant_id": "receiver", "receiver_user_id": "user-1", "name": "n", "status": "active"});
            let mut record = event(event_type, &clock, &payload);
            if logged {
                record.context = Context::builder().user("user-1").build().unwrap();
            }
            records.push(record);
            if index % 2 == 0 {
                let path = format!("/v2/images/{IMAGE}{below}");
                let user = format!("user-{}", index % 3);
                records.extend(request(&user, action, &path, "success", [&clock, &clock]));
            }
        }
        let mut timeline = Timeline::new("n");
        for record in &records {
            timeline.add(record);
        }
        for entry in timeline.finish().entries {
            if let Some(actor) = entry.actor.actor() {
                let shown = format!("{actor:?}");
                prop_assert!(!shown.contains("the-owner"));
                prop_assert!(actor.user_id.starts_with("user-"));
            }
        }
        let mut trail = AuditTrail::default();
        for record in &records {
            trail.add(record);
        }
        for record in &records {
            let shown = format!("{:?}", trail.actor_of(record));
            prop_assert!(!shown.contains("the-owner"));
        }
        // Without evidence, nothing is claimed.
        let bare = AuditTrail::default();
        for record in records.iter().filter(|r| !r.is_audit() && r.context.user().is_none()) {
            prop_assert!(bare.actor_of(record).actor().is_none());
        }
    }
}

fn actors_of(records: &[EventRecord]) -> Vec<(&EventRecord, ActorFinding)> {
    let mut trail = AuditTrail::default();
    for record in records {
        trail.add(record);
    }
    records.iter().map(|record| (record, trail.actor_of(record))).collect()
}

fn event(event_type: &str, clock: &str, payload: &serde_json::Value) -> EventRecord {
    let id = uuid::Uuid::from_u128(u128::from(number_of(event_type, clock)));
    let line = json!({"message_id": id, "publisher_id": "image.h", "event_type": event_type,
        "priority": "INFO", "timestamp": format!("2026-11-24 {clock}"), "payload": payload});
    RecordReader::new("test").read(line.to_string().as_bytes()).unwrap()
}

/// Returns the two audit events of a request.
fn request(
    user: &str,
    action: &str,
    path: &str,
    outcome: &str,
    times: [&str; 2],
) -> [EventRecord; 2] {
    let one = |event_type: &str, clock: &str, outcome: &str| {
        event(
            event_type,
            clock,
            &json!({"id": format!("{user}{path}{}", times[0]), "action": action,
            "outcome": outcome, "requestPath": path, "owner": "the-owner",
            "initiator": {"id": user, "project_id": "p"}}),
        )
    };
    [one("audit.http.request", times[0], "pending"), one("audit.http.response", times[1], outcome)]
}

/// Returns a number that differs for different texts.
fn number_of(event_type: &str, clock: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (event_type, clock).hash(&mut hasher);
    hasher.finish()
}

/// Event types with the action and path of a request that causes them.
const KINDS: [(&str, &str, &str); 6] = [
    ("image.delete", "delete", ""),
    ("image.update", "update", ""),
    ("image.upload", "update", "/file"),
    ("image.send", "read", "/file"),
    ("image.member.create", "create", "/members"),
    ("image.activate", "update", "/file"),
];
