//! Questions by the name of an image that only one of several inputs has.

use serde_json::Value;

use crate::support::Sandbox;

/// The notifications that `demo` prints.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// Creates a sandbox with the day in the file `whole.jsonl`, and in two parts.
///
/// The events whose type begins with `kind` are in `part.jsonl` and in the archive `part`. The others are in
/// `rest.jsonl` and in the archive `rest`.
fn split_day(kind: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("whole.jsonl", DAY);
    let marker = format!("\"event_type\": \"{kind}");
    let (part, rest): (Vec<_>, Vec<_>) =
        DAY.lines().partition(|line| line.contains(marker.as_str()));
    for (archive, file, lines) in [("part", "part.jsonl", part), ("rest", "rest.jsonl", rest)] {
        sandbox.file(file, lines.join("\n") + "\n");
        sandbox.run(["archive", "import", "--archive", archive, file]).expect(0);
    }
    sandbox
}

/// Asks a question about some inputs, and returns standard output.
fn ask(sandbox: &Sandbox, question: &[&str], inputs: &[&str]) -> String {
    let from = inputs.iter().flat_map(|input| ["--from", *input]);
    let args: Vec<_> = question.iter().copied().chain(from).collect();
    sandbox.run(args).expect(0).out
}

/// A name that one input has also finds the events of the others that have only the id. An archive may be anywhere
/// among the inputs. A file comes before the inputs that need its names.
#[test]
fn a_name_counts_across_inputs() {
    let sandbox = split_day("image.send");
    for question in [
        &["timeline", "debian-12", "-o", "csv"][..],
        &["search", "--image", "debian-12", "-o", "csv"],
        &["search", "--image", "debian-12", "--event", "image.send", "-o", "csv"],
        &["report", "transfers", "--image", "debian-12", "-o", "csv"],
        &["report", "activity", "--image", "debian-12", "-o", "csv"],
    ] {
        let expected = ask(&sandbox, question, &["whole.jsonl"]);
        assert!(expected.lines().count() > 1, "{question:?}");
        for inputs in [
            ["rest.jsonl", "part.jsonl"],
            ["rest.jsonl", "part"],
            ["rest", "part.jsonl"],
            ["part.jsonl", "rest"],
            ["rest", "part"],
            ["part", "rest"],
        ] {
            assert_eq!(ask(&sandbox, question, &inputs), expected, "{question:?} {inputs:?}");
        }
    }
}

/// The name is in one archive, and the audit events that name the actor are in another.
#[test]
fn who_takes_a_name_from_another_archive() {
    let sandbox = split_day("audit.");
    let question = ["who", "debian-12", "--event", "image.delete", "-o", "json"];
    for inputs in
        [["rest", "part"], ["part", "rest"], ["rest.jsonl", "part"], ["part.jsonl", "rest"]]
    {
        let answer: Value = serde_json::from_str(&ask(&sandbox, &question, &inputs)).unwrap();
        assert_eq!(answer["events"][0]["actor"]["user_name"], "alice", "{inputs:?}");
    }
}

/// An image that changed its name has one life in `report storage`, also if its first name is only in the baseline
/// or in another archive.
#[test]
fn report_storage_follows_a_renamed_image() {
    let sandbox = Sandbox::new();
    let image = |name: &str| {
        format!(
            r#"{{"id": "11111111-2222-4333-8444-555555555555", "name": "{name}", "owner": "archive",
            "status": "active", "size": 1073741824, "created_at": "2020-01-01T00:00:00Z"}}"#
        )
    };
    let event = |hour: &str, event_type: &str, name: &str| {
        let line = format!(
            r#"{{"message_id": "11111111-0000-4000-8000-0000000000{hour}",
            "publisher_id": "image.glance1", "event_type": "{event_type}", "priority": "INFO",
            "timestamp": "2026-11-24 {hour}:00:00.000000", "payload": {}}}"#,
            image(name)
        );
        line.replace('\n', " ") + "\n"
    };
    sandbox.file("catalogue.json", format!("[{}]", image("old")));
    sandbox.file("upload.jsonl", event("06", "image.upload", "old"));
    sandbox.file("update.jsonl", event("12", "image.update", "new"));
    for archive in ["upload", "update"] {
        let file = format!("{archive}.jsonl");
        sandbox.run(["archive", "import", "--archive", archive, file.as_str()]).expect(0);
    }
    let question = |name| {
        let interval = ["--since", "2026-11-24", "--until", "2026-11-25"];
        [&["report", "storage", "-o", "csv", "--image", name][..], &interval].concat()
    };
    for input in ["update", "update.jsonl"] {
        for name in ["old", "new"] {
            let asked = [&question(name)[..], &["--baseline", "catalogue.json"]].concat();
            let answer = ask(&sandbox, &asked, &[input]);
            assert!(answer.contains("archive,1,24.000,1073741824\r\n"), "{input} {name} {answer}");
        }
    }
    for inputs in [["upload", "update"], ["update", "upload"]] {
        for name in ["old", "new"] {
            let answer = ask(&sandbox, &question(name), &inputs);
            let expected = "archive,1,18.000,1073741824\r\n";
            assert!(answer.contains(expected), "{inputs:?} {name} {answer}");
        }
    }
}
