//! An archive of a publisher that numbers its notifications and attaches a context: every answer shows what is
//! missing, and none loses the context.

use glance_notify::codec::{Context, Sequence};
use glance_notify::uuid::Uuid;
use notify_archive::ArchiveWriter;
use notify_archive::record::RecordReader;
use notify_archive::store::ArchiveBatch;
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::{Value, json};

use crate::support::{Sandbox, values};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const IMAGE: &str = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";

/// Makes the archive `a`: an image with the numbers 12, 16 and 17, one event a minute.
pub(crate) fn fill(sandbox: &Sandbox) {
    let events = [(12, "image.create"), (16, "image.send"), (17, "image.delete")];
    let record = |(minute, (number, event_type)): (usize, (u64, &str))| {
        let line = json!({
            "message_id": format!("00000000-0000-4000-8000-{number:012x}"),
            "publisher_id": "image.host1",
            "event_type": event_type,
            "priority": "INFO",
            "timestamp": format!("2026-11-24 12:{minute:02}:00.000000"),
            "payload": {"id": IMAGE, "name": "debian-12", "owner": "web", "bytes_sent": 1,
                "receiver_tenant_id": "web", "size": 1, "status": "active"},
        });
        let mut record = RecordReader::new("rabbit").read(line.to_string().as_bytes()).unwrap();
        let context = Context::builder().traceparent(TRACEPARENT).tracestate("a=b");
        record.context = context.request_id("req-1").user("bob").project("web").build().unwrap();
        record.sequence = Some(Sequence::new(Uuid::from_u128(7), "notifications.info", number));
        record
    };
    let records = events.into_iter().enumerate().map(record).collect();
    let mut writer = ArchiveWriter::open(&sandbox.path("a")).unwrap();
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
}

/// Every question over an archive names the missing notifications with its coverage, as text and as JSON, and on
/// standard error beside CSV, for the asked interval only.
#[test]
fn every_report_prints_its_coverage_and_its_gaps() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let sentence = "3 notifications of `image.host1`, lane `notifications.info`, from rabbit are missing: \
                    3 between 12 and 16 (2026-11-24T12:00:00Z to 2026-11-24T12:01:00Z)";
    for question in [
        &["timeline", "debian-12"][..],
        &["who", "debian-12"],
        &["who", "--event", "image.exists", "debian-12"],
        &["search", "--event", "image.delete"],
        &["report", "stuck"],
        &["report", "transfers"],
        &["report", "transfers", "--image", IMAGE],
        &["report", "storage"],
        &["report", "failures"],
        &["report", "deletions"],
        &["report", "activity"],
    ] {
        let ask =
            |options: &[&str]| sandbox.run([question, &["--from", "a"], options].concat()).out;
        let text = ask(&[]);
        assert!(text.lines().any(|line| line == sentence), "{question:?}: {text}");
        assert!(text.contains("coverage: not known for imported files"), "{question:?}: {text}");
        let later = ask(&["--since", "2026-11-24T12:02", "--until", "2026-11-25"]);
        assert!(later.contains("\nno numbered notification is missing\n"), "{question:?}: {later}");
        let csv = sandbox.run([question, &["--from", "a", "-o", "csv"]].concat());
        assert!(csv.err.contains(sentence) && !csv.out.contains("coverage"), "{question:?}");
        let answer: Value = serde_json::from_str(&ask(&["-o", "json"])).unwrap();
        assert!(answer["coverage"].as_array().unwrap().contains(&json!(sentence)), "{question:?}");
        let gap = json!({"notifications": 3, "epoch": Uuid::from_u128(7).to_string(), "after": 12,
            "before": 16, "from": "2026-11-24T12:00:00Z", "to": "2026-11-24T12:01:00Z"});
        let lane = json!({"publisher_id": "image.host1", "lane": "notifications.info",
            "source": "rabbit", "notifications": 3, "gaps": 1, "latest": [gap]});
        let expected = json!({"notifications": 3, "gaps": 1, "lanes": [lane]});
        assert_eq!(answer["missing"], expected, "{question:?}");
    }
    // Files have no numbers, and a second archive fills the gap.
    sandbox.run(["archive", "backup", "--archive", "a", "b"]).expect(0);
    let both = sandbox.run(["search", "--from", "a", "--from", "b"]).expect(0).out;
    assert_eq!(both.matches(sentence).count(), 1, "{both}");
}

/// The answers for programs hold the trace and the request of each notification.
#[test]
fn answers_for_programs_hold_the_context() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let answer = |question: &[&str]| -> Value {
        let output = sandbox.run([question, &["--from", "a", "-o", "json"]].concat()).expect(0);
        serde_json::from_str(&output.out).unwrap()
    };
    let timeline = answer(&["timeline", "debian-12"]);
    let expected = json!({"traceparent": TRACEPARENT, "tracestate": "a=b", "request_id": "req-1",
        "user": "bob", "project": "web"});
    assert_eq!(timeline["events"][0]["context"], expected);
    let found = answer(&["search"]);
    let row = &found["answer"]["rows"][0];
    for (column, part) in [
        ("traceparent", "traceparent"),
        ("tracestate", "tracestate"),
        ("request_id", "request_id"),
        ("request_user", "user"),
        ("request_project", "project"),
    ] {
        assert_eq!(row[column], expected[part], "{column}");
    }
    for column in ["message_id", "timestamp"] {
        assert_eq!(row[column], timeline["events"][0][column], "{column}");
        assert!(row[column].is_string(), "{row}");
    }
    let export = ["archive", "export", "--archive", "a", "-o", "csv"];
    let csv = sandbox.run(export).expect(0).out;
    assert!(csv.lines().next().unwrap().ends_with(",traceparent,tracestate"), "{csv}");
    assert_eq!(csv.matches(&format!(",req-1,bob,web,{TRACEPARENT},a=b")).count(), 3, "{csv}");
    let text = sandbox.run(["search", "--from", "a"]).expect(0).out;
    assert!(!text.contains(TRACEPARENT), "a terminal has no room for it: {text}");
}

/// Any program with access to the broker can write a context: each answer says that the sender named the actor.
#[test]
fn an_actor_of_a_context_is_shown_as_named_by_the_sender() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let ask = |question: &str, form: &str| {
        sandbox.run([question, "debian-12", "--from", "a", "-o", form]).expect(0).out
    };
    let words = "named by the sender";
    let timeline = ask("timeline", "text");
    assert_eq!(timeline.matches(&format!("by bob of web ({words})")).count(), 2, "{timeline}");
    for answer in [ask("timeline", "csv"), ask("who", "text"), ask("who", "csv")] {
        assert_eq!(answer.matches(words).count(), 2, "{answer}");
    }
    for question in ["timeline", "who"] {
        let answer: Value = serde_json::from_str(&ask(question, "json")).unwrap();
        assert_eq!(answer["events"][0]["actor"]["evidence"], "sender", "{question}");
    }
}

/// A replay of an archive sends the context of each notification, and no number: the publisher gave it to an
/// earlier message. `listen --to` passes both on in the same way.
#[test]
fn a_replay_keeps_the_context_and_sends_no_number() {
    let sandbox = Sandbox::new();
    fill(&sandbox);
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    sandbox.file("to.toml", format!("strategy = 'rabbit'\nrabbit.url = '{url}'\n"));
    sandbox.run(["replay", "--from", "a", "--to", "to.toml"]).expect_message(0, "3 forwarded");
    let consume =
        ["listen", "--from", &url, "--consume", "notifications.info", "--dead-letters", "d"];
    let take = |options: &[&str]| sandbox.run([&consume[..], &["-n", "3"], options].concat());
    take(&["--to", "to.toml"]).expect_message(0, "3 forwarded");
    let taken = values(&take(&["-o", "json"]).expect(0).out);
    assert_eq!(taken.len(), 3);
    let expected = json!({"traceparent": TRACEPARENT, "tracestate": "a=b", "request_id": "req-1",
        "user": "bob", "project": "web"});
    for notification in taken {
        assert_eq!(notification["_context"], expected);
        assert_eq!(notification["_sequence"], Value::Null);
    }
}
