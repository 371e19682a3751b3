//! `archive` and the questions to it.

use std::fs;

use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::ArchiveWriter;
use notify_archive::record::RecordReader;
use notify_archive::store::ArchiveBatch;
use serde_json::json;

use crate::support::{CommandOutput, Sandbox, spawn_piped, wait_until};

/// A day of a small cloud: 101 notifications.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

fn archive(sandbox: &Sandbox, command: &str, args: &[&str]) -> CommandOutput {
    sandbox.run([&["archive", command, "--archive", "a"], args].concat())
}

/// Every question has the same answer from the archive as from the lines themselves.
#[test]
fn the_archive_answers_like_the_lines() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    archive(&sandbox, "import", &["day.jsonl"]).expect_message(0, "101 stored, 0 copies");
    for question in [
        &["timeline", "debian-12"][..],
        &["timeline", "web-base"],
        &["timeline", "ubuntu-24.04"],
        &["timeline", "ddb58603-d4fc-42d2-81a1-845acb270f40"],
        &["who", "--event", "image.delete", "debian-12"],
        &["search", "--event", "image.*", "--since", "2026-11-24T10:00"],
        &["search", "--image", "debian-12"],
        &["report", "stuck"],
        &["report", "transfers", "--by", "image"],
        &["report", "transfers", "--image", "debian-12"],
        &["report", "transfers", "--image", "debian-12", "--since", "2026-11-24T10:00"],
        &["report", "storage", "--by", "day"],
        &["report", "failures"],
        &["report", "deletions", "--by", "month"],
        &["report", "activity", "--tz", "Asia/Kathmandu", "--by", "day"],
    ] {
        let without_coverage = |output: CommandOutput| {
            let lines = output.expect(0).out;
            lines
                .lines()
                .filter(|line| !line.starts_with("coverage"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let stored = without_coverage(sandbox.run([question, &["--from", "a"]].concat()));
        let lines = without_coverage(sandbox.pipe(question, DAY));
        assert_eq!(stored, lines, "{question:?}");
    }
    let output = sandbox.run(["search", "--from", "a"]).expect(0);
    assert!(
        output.out.contains("coverage: not known for imported files; the archive holds 101 events")
    );
}

/// An archive that a service fills is no import, also before its first event with a plausible time.
#[test]
fn an_archive_without_dated_events_shows_the_coverage_of_its_sources() {
    let sandbox = Sandbox::new();
    let line = DAY.lines().next().unwrap();
    let mut record = RecordReader::new("north").read(line.as_bytes()).unwrap();
    let attached_at = OffsetDateTime::now_utc() - Duration::days(1);
    record.timestamp = attached_at - Duration::days(31);
    record.arrival.received_at = Some(attached_at);
    let search = ["search", "--from", "a"];
    let ask = |since: &[&str]| sandbox.run([&search[..], since].concat()).out;
    // Without a source, nothing is known about the coverage, and the answer counts what it holds.
    let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
    ArchiveWriter::open(&sandbox.path("a")).unwrap().append(&batch).unwrap();
    let imported = ask(&[]);
    let holds = "the archive holds 0 events and 1 with implausible times";
    assert!(imported.contains(holds), "{imported}");
    let mut writer = ArchiveWriter::open(&sandbox.path("a")).unwrap();
    writer.attach("north", attached_at).unwrap();
    writer.detach("north", attached_at + Duration::HOUR, "stopped").unwrap();
    drop(writer);
    let since = attached_at.date().to_string();
    for answer in [ask(&[]), ask(&["--since", &since])] {
        assert!(answer.contains("coverage of north: "), "{answer}");
        assert!(!answer.contains("imported files"), "{answer}");
    }
    assert!(ask(&[]).contains("coverage of north: 100.00 %"));
}

/// An answer without `--until` does not look complete if the service has stopped, and warns of nothing while it runs.
#[test]
fn an_answer_says_since_when_nothing_is_known() {
    let sandbox = Sandbox::new();
    let line = DAY.lines().next().unwrap();
    let mut record = RecordReader::new("north").read(line.as_bytes()).unwrap();
    let start = OffsetDateTime::now_utc() - Duration::days(3);
    record.timestamp = start;
    let search = ["search", "--from", "a"];
    let ask = |since: &[&str]| sandbox.run([&search[..], since].concat()).out;
    let mut writer = ArchiveWriter::open(&sandbox.path("a")).unwrap();
    writer.attach("north", start).unwrap();
    writer.append(&ArchiveBatch { records: vec![record], ..ArchiveBatch::default() }).unwrap();
    let attached = ask(&[]);
    assert!(attached.contains("coverage of north: 100.00 %"), "{attached}");
    assert!(!attached.contains("nothing is known"), "{attached}");
    writer.detach("north", start + Duration::HOUR, "the archive stopped").unwrap();
    drop(writer);
    let since = (start + Duration::days(2)).date().to_string();
    for answer in [ask(&[]), ask(&["--since", &since])] {
        assert!(answer.contains("nothing is known since 20"), "{answer}");
        assert!(answer.contains("(the archive stopped)"), "{answer}");
    }
    // Another archive that is asked too knows the rest.
    let mut other = ArchiveWriter::open(&sandbox.path("b")).unwrap();
    other.attach("south", OffsetDateTime::now_utc()).unwrap();
    let both = ask(&["--from", "b"]);
    assert!(
        both.contains("coverage of north") && !both.contains("nothing is known since"),
        "{both}"
    );
    let until = (start - Duration::DAY).date().to_string();
    let before = ask(&["--until", &until]);
    assert!(!before.contains("nothing is known since"), "{before}");
}

/// An answer ends now, whatever end the question names: a time that has not come is not blind, and makes no upload
/// old.
#[test]
fn an_answer_does_not_reach_into_the_future() {
    let sandbox = Sandbox::new();
    let line = json!({"message_id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "publisher_id": "image.h",
        "event_type": "image.prepare", "priority": "INFO", "timestamp": "2026-11-24 12:00:00",
        "payload": {"id": "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d", "status": "saving"}});
    let mut record = RecordReader::new("north").read(line.to_string().as_bytes()).unwrap();
    record.timestamp = OffsetDateTime::now_utc() - Duration::minutes(2);
    let mut writer = ArchiveWriter::open(&sandbox.path("a")).unwrap();
    writer.attach("north", record.timestamp).unwrap();
    writer.append(&ArchiveBatch { records: vec![record], ..ArchiveBatch::default() }).unwrap();
    drop(writer);
    let ask = |question: &[&str]| {
        let options = ["--from", "a", "--until", "9999-12"];
        sandbox.run([question, &options].concat()).expect(0).out
    };
    let search = ask(&["search"]);
    assert!(search.contains("coverage of north: ") && !search.contains("9999-12"), "{search}");
    let stuck = ask(&["report", "stuck"]);
    assert!(stuck.contains("0 without an outcome at 20") && !stuck.contains("9999-12"), "{stuck}");
    let all = ask(&["report", "stuck", "--older-than", "0"]);
    assert!(all.contains("1 without an outcome at 20"), "{all}");
}

/// Two notifications with one id and one time are two events of a search, as they are of the archive.
#[test]
fn a_search_shows_both_notifications_of_a_reused_id() {
    let sandbox = Sandbox::new();
    let line = |status: &str| {
        format!(
            r#"{{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
            "event_type":"image.update","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
            "payload":{{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","status":"{status}"}}}}"#
        )
        .replace('\n', "")
    };
    sandbox.file("two.jsonl", format!("{}\n{}\n", line("queued"), line("active")));
    archive(&sandbox, "import", &["two.jsonl"]).expect_message(0, "2 stored, 0 copies");
    let found = sandbox.run(["search", "-o", "raw", "--from", "a"]).expect(0).out;
    assert_eq!(found.lines().count(), 2, "{found}");
}

/// An import that is killed at any time continues, and stores each notification once.
#[test]
fn a_killed_import_continues() {
    let sandbox = Sandbox::new();
    let mut lines = String::new();
    for copy in 0..100 {
        for line in DAY.lines() {
            // Another id: the first eight digits.
            let (head, rest) = line.split_at("{\"message_id\": \"".len());
            lines.extend([head, &format!("{copy:08x}"), &rest[8..], "\n"]);
        }
    }
    sandbox.file("many.jsonl", &lines);
    let total = lines.lines().count();
    let mut kills = 0;
    for round in 0..12 {
        let mut command = sandbox.command(["archive", "import", "--archive", "a", "many.jsonl"]);
        let mut child = spawn_piped(&mut command);
        let before =
            fs::metadata(sandbox.path("a/2026-11.sqlite-wal")).map_or(0, |file| file.len());
        wait_until("the import writes", || {
            let now =
                fs::metadata(sandbox.path("a/2026-11.sqlite-wal")).map_or(0, |file| file.len());
            now != before || child.try_wait().unwrap().is_some()
        });
        std::thread::sleep(std::time::Duration::from_millis(round * 7 % 40));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        kills += usize::from(!output.status.success());
    }
    assert!(kills > 0, "no import was killed");
    archive(&sandbox, "import", &["many.jsonl"]).expect(0);
    let exported = archive(&sandbox, "export", &[]).expect_message(0, &format!("{total} exported"));
    let mut ids: Vec<_> = exported.out.lines().map(|line| &line[..53]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), total);
    let verified = archive(&sandbox, "verify", &[]).expect(0);
    assert!(
        verified.out.contains(&format!("{total} notifications"))
            && verified.out.contains("0 problems")
    );
    archive(&sandbox, "import", &["many.jsonl"]).expect_message(0, "0 stored, 0 copies");
}

/// A file that grows is read on, one that was replaced is read again, and other lines of a log are no news.
#[test]
fn import_follows_a_log_file() {
    let sandbox = Sandbox::new();
    let lines: Vec<_> = DAY.lines().collect();
    sandbox.file("n.log", format!("starting up\n{}\n{}", lines[0], &lines[1][..100]));
    archive(&sandbox, "import", &["n.log"])
        .expect_message(0, "1 stored, 0 copies, 1 unreadable, 1 other");
    sandbox.file("n.log", format!("starting up\n{}\n{}\n", lines[0], lines[1]));
    archive(&sandbox, "import", &["n.log"])
        .expect_message(0, "1 stored, 0 copies, 0 unreadable, 0 other");
    sandbox.file("n.log", format!("{}\n{}\n", lines[1], lines[2]));
    archive(&sandbox, "import", &["n.log"]).expect_message(0, "1 stored, 1 copies");
    let from_stdin = ["archive", "import", "--archive", "a", "-"];
    sandbox.pipe(from_stdin, DAY).expect_message(0, "98 stored, 3 copies");
    // A file behind `<` has no name, so that it is read from its start each time.
    sandbox.file("day.jsonl", DAY);
    for _ in 0..2 {
        let day = fs::File::open(sandbox.path("day.jsonl")).unwrap();
        let output = sandbox.command(from_stdin).stdin(day).output().unwrap();
        CommandOutput::from(output).expect_message(0, "0 stored, 101 copies");
    }
}

/// A second export into the same file has late events between those of the first one: all are stored.
#[test]
fn import_reads_an_export_that_was_written_anew() {
    let sandbox = Sandbox::new();
    let lines: Vec<_> = DAY.lines().collect();
    sandbox.file("x.jsonl", format!("{}\n{}\n{}\n", lines[0], lines[2], lines[3]));
    archive(&sandbox, "import", &["x.jsonl"]).expect_message(0, "3 stored, 0 copies");
    sandbox.file("x.jsonl", format!("{}\n", lines[..5].join("\n")));
    archive(&sandbox, "import", &["x.jsonl"])
        .expect_message(0, "2 stored, 3 copies, 0 unreadable, 0 other");
    sandbox.file("x.jsonl", format!("{}\n", lines[..6].join("\n")));
    archive(&sandbox, "import", &["x.jsonl"]).expect_message(0, "1 stored, 0 copies");
}

/// A copy has the content of the first notification. Another content with its id and time is stored beside it.
#[test]
fn import_tells_copies_from_reused_ids() {
    let sandbox = Sandbox::new();
    let line = DAY.lines().next().unwrap();
    let other = line.replace(r#""publisher_id": "glance-api""#, r#""publisher_id": "other""#);
    sandbox.file("a.jsonl", format!("{line}\n"));
    sandbox.file("b.jsonl", format!("{line}\n{other}\n"));
    let summary = "2 stored, 1 copies, 0 unreadable, 0 other lines; 1 stored with the id and time of another one";
    archive(&sandbox, "import", &["a.jsonl", "b.jsonl"]).expect_message(0, summary);
}

/// Exports replay: every form that `export` prints is read again with the same ids.
#[test]
fn exports_are_notifications_and_tables() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    archive(&sandbox, "import", &["day.jsonl"]).expect(0);
    let exported = archive(&sandbox, "export", &[]).expect(0).out;
    sandbox.file("export.jsonl", &exported);
    sandbox.run(["validate", "export.jsonl"]).expect(0);
    archive(&sandbox, "import", &["export.jsonl"]).expect_message(0, "0 stored, 101 copies");
    let part =
        archive(&sandbox, "export", &["--until", "2026-11-24T12:00", "-o", "csv"]).expect(0).out;
    assert!(part.starts_with("message_id,timestamp,received_at,event_type,"));
    assert!(part.lines().count() > 20 && part.lines().count() < 101);
}

/// A backup answers questions. An erasure is complete and names the files that it does not reach. Retention
/// removes files.
#[test]
fn upkeep_keeps_its_word() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    archive(&sandbox, "import", &["day.jsonl"]).expect(0);
    archive(&sandbox, "backup", &["b"]).expect_message(0, "copied 101 notifications");
    sandbox.run(["timeline", "debian-12", "--from", "b"]).expect(0);
    archive(&sandbox, "backup", &["b"]).expect_message(2, "is not empty");
    let project = "c0ffee00c0ffee00c0ffee00c0ffee00";
    let erase = ["--project", project, "--reason", "request 17"];
    let output = archive(&sandbox, "erase", &erase).expect_message(0, "erased 37 notifications");
    assert!(output.err.contains("not reached: backups, exports, spools, dead letters"));
    for entry in fs::read_dir(sandbox.path("a")).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(project.len()).any(|window| window == project.as_bytes()));
    }
    archive(&sandbox, "import", &["day.jsonl"]).expect(0);
    archive(&sandbox, "verify", &[]).expect(0);
    sandbox.run(["search", "--from", "a", "--project", project]).expect(1);
    archive(&sandbox, "erase", &["--reason", "x"]).expect(2);
    archive(&sandbox, "erase", &["--user", "ab", "--reason", "x"]).expect_message(2, "too short");
    archive(&sandbox, "retain", &["--max-days", "36500"]).expect_message(0, "0 files removed");
    archive(&sandbox, "retain", &[]).expect(2);
}

/// One of a kind is in the singular.
#[test]
fn one_notification_is_counted_in_the_singular() {
    let sandbox = Sandbox::new();
    sandbox.file("one.jsonl", DAY.lines().next().unwrap());
    archive(&sandbox, "import", &["one.jsonl"]).expect(0);
    let copied = archive(&sandbox, "backup", &["b"]).expect(0).err;
    assert!(copied.contains("copied 1 notification\n"), "{copied}");
    let verified = archive(&sandbox, "verify", &[]).expect(0).out;
    assert!(verified.contains("1 file, 1 notification, 0 erased"), "{verified}");
    assert!(verified.contains("0 unreadable messages, 0 problems"), "{verified}");
}

/// The stored baseline completes the report of storage.
#[test]
fn the_baseline_is_stored() {
    let sandbox = Sandbox::new();
    let image = r#"[{"id": "old", "owner": "archive", "status": "active", "size": 1073741824,
        "created_at": "2020-01-01T00:00:00Z"}]"#;
    sandbox.file("catalogue.json", image);
    archive(&sandbox, "baseline", &["catalogue.json"]).expect_message(0, "1 image stored");
    let args = ["report", "storage", "--from", "a", "-o", "csv"];
    let day = ["--since", "2026-11-24", "--until", "2026-11-25"];
    let output = sandbox.run([&args[..], &day].concat()).expect(0);
    assert!(output.out.contains("archive,1,24.000,1073741824"), "{}", output.out);
    let args = ["archive", "baseline", "--archive", "a", "-"];
    sandbox.pipe(args, image).expect_message(0, "1 image stored");
    sandbox.file("catalogue.json", "{}");
    archive(&sandbox, "baseline", &["catalogue.json"])
        .expect_message(4, "as Glance's API lists them");
}

/// Errors name the cause and the remedy.
#[test]
fn errors_name_the_remedy() {
    let sandbox = Sandbox::new();
    sandbox.run(["search", "--from", "."]).expect_message(2, "Create one with `archive import`");
    archive(&sandbox, "import", &["missing.jsonl"]).expect_message(2, "missing.jsonl");
    archive(&sandbox, "verify", &[]).expect(0);
    let mut import = sandbox.command(["archive", "import", "--archive", "b", "-"]);
    let mut child = spawn_piped(&mut import);
    // The writer takes the lock before it makes the first file.
    wait_until("the writer holds the lock", || sandbox.path("b/control.sqlite").exists());
    let retain = ["archive", "retain", "--archive", "b", "--max-days", "1"];
    sandbox.run(retain).expect_message(3, "stop it first");
    drop(child.stdin.take());
    child.wait().unwrap();
}
