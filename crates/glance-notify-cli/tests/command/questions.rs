//! `demo`, `timeline`, `who`, `search` and `report`, on the day of a small cloud.

use serde_json::Value;

use crate::support::{CommandOutput, Sandbox};

/// The notifications that `demo` prints.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

fn ask(args: &[&str]) -> CommandOutput {
    Sandbox::new().pipe(args, DAY)
}

fn json(args: &[&str]) -> Value {
    let output = ask(&[args, &["-o", "json"]].concat()).expect(0);
    serde_json::from_str(&output.out).unwrap()
}

/// `demo` needs nothing but the binary, and its notifications pass `validate`.
#[test]
fn demo_prints_valid_notifications() {
    let output = Sandbox::new().run(["demo"]).expect(0);
    assert_eq!(output.out, DAY);
    Sandbox::new().pipe(["validate"], &output.out).expect(0);
}

/// The README's first command: the life of one image, from its name.
#[test]
fn timeline_shows_the_life_of_an_image() {
    let output = ask(&["timeline", "debian-12"]).expect(0);
    for part in [
        "image.create            by unknown",
        "image.upload            by alice",
        "447741952 bytes to project",
        "request refused: delete",
        "by bob",
        "image.delete            by alice",
        "note: ",
        "coverage: not known for files; 101 events from 2026-11-24T01:00:01Z",
    ] {
        assert!(output.out.contains(part), "{part}\n{}", output.out);
    }
    let raw = ask(&["timeline", "debian-12", "-o", "raw"]).expect(0);
    assert!(raw.out.lines().all(|line| line.contains("ddb58603-d4fc-42d2-81a1-845acb270f40")));
    ask(&["timeline", "no-such-image"]).expect(1);
}

/// `who` names the actor of a deletion by its audit event, and claims nothing without one.
#[test]
fn names_only_audited_actors() {
    let answer = json(&["who", "--event", "image.delete", "debian-12"]);
    assert_eq!(answer["events"][0]["actor"]["user_name"], "alice");
    assert_eq!(answer["events"][0]["actor"]["evidence"], "audit_event");
    let answer = json(&["who", "--event", "image.delete", "web-base"]);
    let actors: Vec<_> = answer["events"].as_array().unwrap().iter().map(|e| &e["actor"]).collect();
    assert_eq!(actors[0]["user_name"], "image-builder");
    assert_eq!(*actors[1], Value::Null, "no audit event");
    let text = ask(&["who", "--event", "image.delete", "web-base"]).expect(0).out;
    assert!(text.contains("unknown") && text.contains("no audit event"), "{text}");
}

/// `report stuck` says what to look at next.
#[test]
fn report_stuck_names_the_next_step() {
    let answer = json(&["report", "stuck"]);
    let rows = answer["answer"]["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rawhide", "training-set-4", "debian-11"]);
    assert!(rows[1]["next"].as_str().unwrap().contains("glance-api.log on glance2"));
    let early = json(&["report", "stuck", "--until", "2026-11-24T11:00"]);
    assert_eq!(early["answer"]["rows"].as_array().unwrap().len(), 0);
    ask(&["report", "stuck", "-o", "raw"]).expect_message(2, "search -o raw");
}

/// An upload that failed is not stuck, though its failure names no owner and has another priority.
#[test]
fn report_stuck_sees_outcomes_that_the_filter_excludes() {
    let data = "c0ffee00c0ffee00c0ffee00c0ffee00";
    let names = |args: &[&str]| {
        // The upload of `4ca0a1ae-…` has just failed.
        let asked = ["report", "stuck", "--until", "2026-11-24T11:30:19.360", "--older-than", "0"];
        let answer = json(&[&asked[..], args].concat());
        let rows = answer["answer"]["rows"].as_array().unwrap();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for args in [
        &["--project", data][..],
        &["--priority", "info"],
        &["--event", "image.prepare", "--event", "image.update"],
    ] {
        assert_eq!(names(args), ["rawhide", "training-set-4"], "{args:?}");
    }
    assert_eq!(names(&["--event", "image.prepare"]), ["training-set-4"]);
    let none: [&str; 0] = [];
    assert_eq!(names(&["--project", "b7a1c5e4d3f24a6f9e8d7c6b5a493827"]), none);
    let failures = json(&["report", "failures", "--project", data]);
    assert!(failures["answer"]["notes"].to_string().contains("names no project"), "{failures}");
}

/// An image that is stuck in two regions is in two rows, which name the regions.
#[test]
fn report_stuck_names_the_region_of_several() {
    let sandbox = Sandbox::new();
    let line = |number: u8| {
        let line = format!(
            r#"{{"message_id": "11111111-0000-4000-8000-00000000000{number}",
            "publisher_id": "image.glance{number}", "event_type": "image.prepare", "priority": "INFO",
            "timestamp": "2026-11-24 12:0{number}:00.000000",
            "payload": {{"id": "11111111-2222-4333-8444-555555555555", "name": "mirrored", "owner": "web"}}}}"#
        );
        line.replace('\n', " ") + "\n"
    };
    let regions = || {
        let args = ["report", "stuck", "--older-than", "0", "-o", "json", "--from", "a"];
        let answer: Value = serde_json::from_str(&sandbox.run(args).expect(0).out).unwrap();
        let rows = answer["answer"]["rows"].as_array().unwrap();
        let region = |row: &Value| row["region"].as_str().unwrap_or("no column").to_owned();
        rows.iter().map(region).collect::<Vec<_>>()
    };
    for (number, region) in [(1, "north"), (2, "south"), (3, "")] {
        sandbox.file("n.jsonl", line(number));
        let import = ["archive", "import", "--archive", "a", "n.jsonl"];
        let option = ["--region", region];
        let option = if region.is_empty() { &option[..0] } else { &option };
        sandbox.run([&import[..], option].concat()).expect(0);
        match number {
            1 => assert_eq!(regions(), ["no column"]),
            2 => assert_eq!(regions(), ["north", "south"]),
            _ => assert_eq!(regions(), ["north", "south", "unknown"]),
        }
    }
}

/// Numbers are exact, projects have names, and copies of events count once.
#[test]
fn report_transfers_counts_each_download_once() {
    let sandbox = Sandbox::new();
    sandbox.file("names.json", r#"[{"ID": "c0ffee00c0ffee00c0ffee00c0ffee00", "Name": "data"}]"#);
    let args = ["report", "transfers", "--names", "names.json", "-o", "json"];
    let output = sandbox.pipe(args, format!("{DAY}not json\n{DAY}")).expect(0);
    let answer: Value = serde_json::from_str(&output.out).unwrap();
    let row = &answer["answer"]["rows"][1];
    assert_eq!(row["project"], "data");
    assert_eq!((row["downloads"].as_u64(), row["incomplete"].as_u64()), (Some(3), Some(1)));
    assert_eq!(row["bytes_sent"].as_u64(), Some(447_741_952 * 2 + 268_435_456 + 618 * 1024 * 1024));
    let coverage = answer["coverage"][0].as_str().unwrap();
    let copies = "101 copies left out, as each message_id counts once; 1 lines without";
    assert!(coverage.contains(copies), "{coverage}");

    let args = ["report", "transfers", "--image", "debian-12", "--project", "data", "--names"];
    let output = sandbox.pipe([&args[..], &["names.json", "-o", "csv"]].concat(), DAY).expect(0);
    assert_eq!(output.out, "project,downloads,incomplete,bytes_sent\r\ndata,2,1,1163919360\r\n");
}

/// An interval contains its begin and not its end, in the time zone that you choose.
#[test]
fn intervals_are_half_open_and_local() {
    let count = |args: &[&str]| {
        let output = ask(&[&["search", "-o", "raw"], args].concat());
        output.out.lines().count()
    };
    let all = DAY.lines().count();
    assert_eq!(count(&["--since", "2026-11-24", "--until", "2026-11-25"]), all);
    assert_eq!(
        count(&["--since", "2026-11-24T08:02:11.141", "--until", "2026-11-24T08:02:11.145"]),
        1
    );
    let noon = count(&["--until", "2026-11-24T12:00Z"]);
    assert_eq!(count(&["--until", "2026-11-24T13:00", "--tz", "Europe/Berlin"]), noon);
    assert_eq!(noon + count(&["--since", "2026-11-24T12:00Z"]), all);
    ask(&["search", "--since", "2026-12", "--until", "2026-11"])
        .expect_message(2, "the interval is empty");
    ask(&["search", "--since", "yesterday"]).expect_message(2, "--since: expected a time such as");
    ask(&["search", "--tz", "Mars"]).expect_message(2, "Europe/Berlin");
}

/// JSON has the same times for every `--tz`, so that a script does not depend on the options of a person.
#[test]
fn json_has_utc_whatever_the_zone() {
    for question in [
        &["search", "--image", "debian-12"][..],
        &["timeline", "debian-12"],
        &["who", "debian-12"],
        &["report", "transfers"],
        &["report", "failures"],
    ] {
        let json = [question, &["-o", "json"]].concat();
        let local = [&json[..], &["--tz", "Asia/Kathmandu"]].concat();
        assert_eq!(ask(&local).expect(0).out, ask(&json).expect(0).out, "{question:?}");
    }
}

/// `search` shows the newest, sorted, and says how many it left out.
#[test]
fn search_is_sorted_and_limited() {
    let sandbox = Sandbox::new();
    let reversed: Vec<_> = DAY.lines().rev().collect();
    let output =
        sandbox.pipe(["search", "--event", "image.delete", "-n", "2"], reversed.join("\n"));
    let out = output.expect(0).out;
    assert!(out.contains("2 older events left out"), "{out}");
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[1].contains("debian-11") && lines[2].contains("debian-12"), "{out}");
    for format in ["csv", "raw"] {
        let output = ask(&["search", "--event", "image.delete", "-n", "2", "-o", format]).expect(0);
        assert!(output.err.contains("2 older events left out"), "{format}: {}", output.err);
        assert!(!output.out.contains("left out"), "{format}: {}", output.out);
        let output = ask(&["search", "-n", "0", "-o", format]).expect(0);
        assert!(!output.err.contains("left out"), "{format}: {}", output.err);
    }
    ask(&["search", "--event", "volume.*"]).expect(1);
}

/// CSV and raw notifications have no place for notes and coverage, so these are on standard error; `-q` omits them.
#[test]
fn notes_are_on_standard_error_beside_csv_and_raw() {
    let coverage = "coverage: not known for files; 101 events";
    for (args, note) in [
        (&["timeline", "debian-12", "-o", "raw"][..], "1 incomplete download"),
        (&["timeline", "debian-12", "-o", "csv"], coverage),
        (&["who", "debian-12", "-o", "raw"], coverage),
        (&["search", "-o", "raw"], coverage),
        (&["report", "stuck", "-o", "csv"], "3 without an outcome"),
        (&["report", "storage", "-o", "csv"], "give the catalogue with `--baseline`"),
    ] {
        let output = ask(args).expect(0);
        assert!(output.err.contains(note) && output.err.contains(coverage), "{}", output.err);
        assert!(!output.out.contains(note) && !output.out.contains(coverage), "{}", output.out);
        assert_eq!(ask(&[args, &["-q"]].concat()).expect(0).err, "");
    }
    let none = ask(&["timeline", "no-such-image", "-o", "json"]).expect(1);
    let answer: Value = serde_json::from_str(&none.out).unwrap();
    assert_eq!(answer["events"].as_array().unwrap().len(), 0);
}

/// Questions, imports and `serve` refuse compressed input by name: its lines would count as other lines, and a
/// catalogue or a list of names would be no JSON.
#[test]
fn compressed_input_is_refused() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\n";
    let sandbox = Sandbox::new();
    sandbox.file("day.gz", gzip);
    let advice = "`: compressed with gzip: decompress it first, for example with `zcat`";
    for args in [
        &["report", "stuck", "--from"][..],
        &["report", "transfers", "--from"],
        &["search", "--from"],
        &["archive", "import", "--archive", "a"],
        #[cfg(feature = "serve")]
        &["serve", "--check", "--listen", "127.0.0.1:0"],
    ] {
        let from_file = sandbox.run([args, &["day.gz"]].concat());
        from_file.expect_message(2, &format!("cannot read `day.gz{advice}"));
        sandbox.pipe([args, &["-"]].concat(), gzip).expect_message(2, advice);
    }
    sandbox.file("day.jsonl", "");
    let report = ["report", "storage", "--from", "day.jsonl"];
    for option in ["--baseline", "--names"] {
        let output = sandbox.run([&report[..], &[option, "day.gz"]].concat());
        output.expect_message(2, &format!("cannot read `day.gz{advice}"));
    }
}

/// A source of `listen` is no input of a question: as a file, it would hold no event. No password is repeated.
#[test]
fn a_question_refuses_brokers_and_configurations() {
    let sandbox = Sandbox::new();
    sandbox.file("sources.toml", "[[source]]\nfile = 'day.jsonl'\n");
    sandbox.file("glance-api.conf", "[DEFAULT]\n");
    for from in ["sources.toml", "glance-api.conf", "amqp://u:s3cret@h", "amqps://u:s3cret@h"] {
        for question in [&["search"][..], &["report", "transfers"], &["timeline", "a"]] {
            let output = sandbox.run([question, &["--from", from]].concat());
            let output = output.expect_message(2, "glance-notify listen --from");
            assert!(!output.err.contains("s3cret"), "{}", output.err);
        }
    }
}

/// `timeline` and `search` colour the priorities of failures, as `listen` does.
#[test]
fn priorities_have_colours() {
    for question in [&["timeline", "debian-12"][..], &["search"]] {
        let plain = ask(question).expect(0).out;
        assert!(plain.contains("ERROR") && !plain.contains('\u{1b}'), "{plain}");
        let painted = ask(&[question, &["--color", "always"]].concat()).expect(0).out;
        assert!(painted.contains("\u{1b}[31mERROR"), "{painted}");
    }
}

/// Without an event, there is no time to which the answer applies.
#[test]
fn nothing_is_stuck_without_events() {
    let output = Sandbox::new().pipe(["report", "stuck"], "").expect(0);
    assert!(output.out.contains("0 without an outcome.\n"), "{}", output.out);
}

/// Every report has every grouping and every form; numbers have no `raw` form.
#[test]
fn every_report_has_every_grouping() {
    for report in ["transfers", "storage", "failures", "deletions", "activity"] {
        for by in ["project", "image", "region", "day", "month"] {
            let text = ask(&["report", report, "--by", by]).expect(0);
            assert!(text.out.starts_with(by), "{}", text.out);
            let csv = ask(&["report", report, "--by", by, "-o", "csv"]).expect(0);
            assert!(csv.out.starts_with(by) && csv.out.contains("\r\n"), "{}", csv.out);
        }
        ask(&["report", report, "-o", "raw"]).expect_message(2, "search -o raw");
    }
}

/// The help of a report offers the forms that a report has.
#[test]
fn the_help_of_a_report_offers_no_raw_form() {
    for report in ["stuck", "transfers", "storage", "failures", "deletions", "activity"] {
        let help = Sandbox::new().run(["report", report, "--help"]).expect(0).out;
        assert!(help.contains("- csv:") && !help.contains("- raw:"), "{help}");
        assert!(!help.contains("`raw`"), "{help}");
    }
    let help = Sandbox::new().run(["search", "--help"]).expect(0).out;
    assert!(help.contains("- csv:") && help.contains("- raw:"), "{help}");
}

/// A baseline adds the images that are older than the first event.
#[test]
fn report_storage_uses_the_baseline() {
    let sandbox = Sandbox::new();
    let image = r#"{"id": "11111111-2222-4333-8444-555555555555", "name": "old", "owner": "archive",
        "status": "active", "size": 1073741824, "created_at": "2020-01-01T00:00:00Z"}"#;
    sandbox.file("catalogue.json", format!(r#"{{"images": [{image}]}}"#));
    let args = [
        "report",
        "storage",
        "--baseline",
        "catalogue.json",
        "--since",
        "2026-11-24",
        "--until",
        "2026-11-25",
        "-o",
        "csv",
    ];
    let output = sandbox.pipe(args, DAY).expect(0);
    assert!(output.out.contains("archive,1,24.000,1073741824\r\n"), "{}", output.out);
    sandbox.file(
        "catalogue.json",
        format!(r#"{{"images": [{image}], "next": "/v2/images?marker=1"}}"#),
    );
    sandbox.pipe(args, DAY).expect_message(4, "fetch all pages");
}

/// `--image` and `--project` select among the images of the baseline too, and an image that changes its owner
/// leaves the project.
#[test]
fn report_storage_selects_images_and_owners() {
    let sandbox = Sandbox::new();
    let image = |owner: &str| {
        format!(
            r#"{{"id": "11111111-2222-4333-8444-555555555555", "name": "old", "owner": "{owner}",
            "status": "active", "size": 1073741824, "created_at": "2020-01-01T00:00:00Z"}}"#
        )
    };
    sandbox.file("catalogue.json", format!("[{}]", image("archive")));
    let update = format!(
        r#"{{"message_id": "11111111-0000-4000-8000-000000000001", "publisher_id": "image.glance1",
        "event_type": "image.update", "priority": "INFO", "timestamp": "2026-11-24 12:00:00.000000",
        "payload": {}}}"#,
        image("data")
    );
    let events = format!("{DAY}{}\n", update.replace('\n', " "));
    let rows = |option: &str, value: &str| {
        let args = ["report", "storage", "--baseline", "catalogue.json", "--since", "2026-11-24"];
        let more = ["--until", "2026-11-25", "-o", "csv", option, value];
        let output = sandbox.pipe([args, more].concat(), &events).expect(0);
        output.out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows("--project", "archive"), ["archive,1,12.000,0"]);
    assert_eq!(rows("--project", "data"), ["data,1,12.000,1073741824"]);
    assert_eq!(rows("--image", "old"), ["archive,1,12.000,0", "data,1,12.000,1073741824"]);
    let others = rows("--image", "debian-12");
    assert!(!others.is_empty());
    assert!(!others.iter().any(|row| row.starts_with("archive") || row.starts_with("data,")));
}

/// Storage needs the deletions that `--event` and `--priority` would leave out.
#[test]
fn report_storage_refuses_to_leave_out_events() {
    for option in [["--event", "image.upload"], ["--priority", "error"]] {
        let output = ask(&[&["report", "storage"][..], &option].concat());
        output.expect_message(2, "leave out `--event` and `--priority`");
    }
}

/// Storage ends now, whatever the question or a wrong clock says.
#[test]
fn report_storage_ends_now() {
    let asked = ["report", "storage", "--by", "month", "--until", "9999-12", "-o", "csv"];
    assert!(ask(&asked).expect(0).out.lines().count() < 1000);
    let wrong = DAY.replacen("\"timestamp\": \"2026", "\"timestamp\": \"9998", 1);
    let args = ["report", "storage", "--by", "day", "-o", "csv"];
    assert!(Sandbox::new().pipe(args, wrong).expect(0).out.lines().count() < 100_000);
}

/// Names of images are input of strangers: they reach no terminal unescaped.
#[test]
fn answers_are_escaped() {
    let hostile = DAY.replace("training-set-4", "x\\u001b]0;y\\u0007\\u202e");
    for args in [&["search"][..], &["report", "stuck"], &["timeline", "debian-12"]] {
        let output = Sandbox::new().pipe(args, &hostile).expect(0);
        assert!(!output.out.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
    }
}
