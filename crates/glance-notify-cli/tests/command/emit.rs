//! `emit`: what is read is what is delivered, and what is told of it is true.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use notify_conformance::samples::GLANCE_2013;
use serde_json::{Value, json};

use crate::support::{LIFECYCLE, Place, emit, ids, line, piped, values, wait_until};

#[test]
fn the_life_of_an_image_is_in_the_file_with_six_keys_in_order() {
    let place = Place::new();
    place.file("life.jsonl", LIFECYCLE);
    let args =
        ["emit", "--set", "strategy=log", "--set", "log.file=notifications.log", "life.jsonl"];
    place.run(args).says(0, "11 read, 11 delivered by `log`");
    let (expected, text) = (values(LIFECYCLE), place.read("notifications.log"));
    assert_eq!(text.lines().count(), 11);
    for (line, expected) in text.lines().zip(&expected) {
        let keys = ["message_id", "publisher_id", "event_type", "priority", "timestamp", "payload"];
        let at = keys.map(|key| line.find(&format!("\"{key}\":")).expect(key));
        assert!(at.is_sorted(), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value.as_object().unwrap().len(), keys.len());
        for key in ["event_type", "priority", "payload"] {
            assert_eq!(value[key], expected[key]);
        }
    }
}

/// Done is what is on the disk; the next one, or whoever shares the directory, takes it on.
#[test]
fn behind_a_spool_done_is_what_is_on_the_disk() {
    let place = Place::new();
    let input = place.file("life.jsonl", LIFECYCLE);
    fs::create_dir(place.path("away")).unwrap();
    let spool = ["emit", "--set", "strategy=log", "--set", "spool.dir=s", "--acks", "acks"];
    let away = [&spool[..], &["--set", "log.file=away", input]].concat();
    place.run(away).says(0, "11 read, 11 delivered by `spool`");
    let acked = place.read("acks");
    assert_eq!(acked.lines().count(), 11);

    fs::remove_dir(place.path("away")).unwrap();
    let there = [&spool[..], &["--set", "log.file=away", "none.jsonl"]].concat();
    place.file("none.jsonl", "");
    wait_until("what is in the spool to be delivered", || {
        place.run(there.clone()).says(0, "0 read");
        fs::read_to_string(place.path("away")).is_ok_and(|text| text.lines().count() >= 11)
    });
    assert_eq!(ids(&place.lines("away")), acked.lines().collect::<Vec<_>>());
}

#[test]
fn what_glances_own_code_sent_comes_out_field_for_field() {
    let place = Place::new();
    let input = place.file("2013.jsonl", GLANCE_2013);
    place.run(emit(&["--set", "payloads=glance", input])).says(0, "32 read, 32 delivered");
    let sent = values(GLANCE_2013);
    let out = place.lines("n.log");
    assert_eq!((sent.len(), out.len()), (32, 32));
    for (sent, out) in sent.iter().zip(&out) {
        assert_eq!(
            (&out["event_type"], &out["priority"]),
            (&sent["event_type"], &sent["priority"])
        );
        let (Some(sent), Some(out)) = (sent["payload"].as_object(), out["payload"].as_object())
        else {
            assert_eq!(out["payload"], sent["payload"]);
            continue;
        };
        for (key, value) in sent {
            assert_eq!(&out[key], value, "{key} of {sent:?}");
        }
        for (key, value) in out.iter().filter(|(key, _)| !sent.contains_key(*key)) {
            assert!(value.is_null() || key == "visibility", "{key} = {value} of {sent:?}");
        }
    }
}

#[test]
fn a_log_is_emitted_again_byte_for_byte() {
    let place = Place::new();
    place.pipe(emit(&[]), LIFECYCLE).expect(0);
    fs::rename(place.path("n.log"), place.path("old.log")).unwrap();
    place.run(emit(&["old.log"])).expect(0);
    assert_eq!(place.read("n.log"), place.read("old.log"));
}

#[test]
fn one_notification_is_given_by_arguments() {
    let place = Place::new();
    place
        .run(emit(&[
            "--event",
            "image.delete",
            "--payload",
            "\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\"",
        ]))
        .expect(0);
    place.file("text.json", "\"storage\n is full\"".replace('\n', "\\n"));
    place
        .run(emit(&["--event", "image.upload", "--priority", "error", "--payload", "@text.json"]))
        .expect(0);
    let lines = place.lines("n.log");
    assert_eq!(lines[0]["payload"], "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d");
    assert_eq!(lines[0]["priority"], "INFO");
    assert_eq!(lines[1]["payload"], "storage\n is full");
    assert_eq!(lines[1]["priority"], "ERROR");
}

#[test]
fn one_notification_of_wrong_arguments_is_refused() {
    let place = Place::new();
    let send = |event, payload| place.run(emit(&["--event", event, "--payload", payload]));
    send("image.create", "no json").says(4, "--payload: expected JSON (a text in double quotes)");
    send("image.create", "1} {").says(4, "--payload: expected JSON");
    send("image.create", "1,\"message_id\":2").says(4, "--payload: expected JSON");
    send("image.create", "\"text\"").says(4, "/payload: expected an object, found a string");
    send("image.create", "@none").says(2, "cannot read `none`: No such file");
    place.file("large.json", vec![b' '; 1024 * 1024 + 1]);
    send("image.create", "@large.json").says(4, "expected a payload of at most 1048576 bytes");
    send("image.gone", "{}").says(2, "invalid value 'image.gone'");
    place.run(emit(&["--event", "image.create"])).says(2, "--payload");
    place.run(emit(&["--payload", "{}"])).says(2, "--event");
    place
        .run(emit(&["--event", "image.create", "--payload", "{}", "in.jsonl"]))
        .says(2, "cannot be used with");
}

#[test]
fn the_summary_is_one_object() {
    let place = Place::new();
    let input = line("a") + "nonsense\n" + &line("b");
    let ended = place.pipe(emit(&["--summary", "json", "--skip-invalid"]), input).expect(4);
    assert_eq!(
        ended.out,
        "{\"strategy\":\"log\",\"read\":3,\"invalid\":1,\"emitted\":2,\"delivered\":2,\"refused\":0,\
         \"dropped\":0,\"pending\":0}\n"
    );
    assert!(ended.err.contains("skipped standard input, line 2: not JSON: "), "{}", ended.err);
    assert_eq!(place.lines("n.log").len(), 2);
}

#[test]
fn an_invalid_line_stops_the_reading_after_what_came_before_is_delivered() {
    let place = Place::new();
    let wrong = r#"{"event_type":"image.create","priority":"INFO","payload":{"id":"x"}}"#;
    let input = line("a") + &line("b") + "\n" + wrong + "\n" + &line("c");
    place.file("in.jsonl", input);
    let ended = place.run(emit(&["--acks", "acks", "in.jsonl"])).expect(4);
    let message =
        "in.jsonl, line 4: /payload/id: expected a UUID with dashes, found \"x\" (and 1 more)";
    assert!(ended.err.contains(message), "{}", ended.err);
    assert!(ended.err.contains("what follows line 4 was not read"), "{}", ended.err);
    assert_eq!(place.lines("n.log").len(), 2);
    assert_eq!(place.read("acks").lines().count(), 2);
}

#[test]
fn acks_are_the_ids_of_what_was_delivered() {
    let place = Place::new();
    place.pipe(emit(&["--acks", "acks"]), LIFECYCLE).expect(0);
    let lines = place.lines("n.log");
    assert_eq!(place.read("acks").lines().collect::<Vec<_>>(), ids(&lines));
    let ended = place.pipe(emit(&["--acks", "-", "--summary", "json"]), line("a")).expect(0);
    let out: Vec<_> = ended.out.lines().collect();
    assert_eq!(out[0], ids(&place.lines("n.log"))[11]);
    assert!(out[1].starts_with("{\"strategy\""));
}

#[test]
fn acks_come_while_more_is_awaited() {
    use std::io::Write;
    let place = Place::new();
    let mut child = piped(&mut place.command(emit(&["--acks", "acks"])));
    let mut stdin = child.stdin.take().unwrap();
    for count in 1..=3 {
        stdin.write_all(line("a").as_bytes()).unwrap();
        wait_until("the line is acknowledged", || place.lines_of("acks") == count);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_permanent_error_before_anything_was_delivered_ends_at_once() {
    let place = Place::new();
    let input = place.file("in.jsonl", LIFECYCLE);
    let args = ["emit", "--set", "strategy=log", "--set", "log.file=none/n.log"];
    let ended =
        place.run([&args[..], &["--failed", "failed", "--summary", "json", input]].concat());
    let ended = ended.says(2, "`log.file`: ").says(2, "create it");
    let summary: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(summary["delivered"], 0);
    assert_eq!(summary["dropped"], 11);
    assert_eq!(summary["pending"], 0);
    // What failed is whole and can be emitted again as it is.
    place.run(emit(&["failed"])).expect(0);
    assert_eq!(place.read("n.log"), place.read("failed"));
    assert_eq!(place.lines("n.log").len(), 11);
    let mode = fs::metadata(place.path("failed")).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "not for everybody");
}

#[test]
fn it_gives_up_when_nothing_is_delivered_for_so_long() {
    let place = Place::new();
    symlink("n.log", place.path("n.log")).unwrap();
    let ended = place.pipe(emit(&["--timeout", "0.3", "--failed", "failed"]), LIFECYCLE);
    let ended = ended.says(3, "gave up: nothing was delivered for 0.3 s: `log.file`: ");
    assert!(ended.err.contains("11 read, 0 delivered by `log`, 11 not sent"), "{}", ended.err);
    assert_eq!(place.lines("failed").len(), 11);
}

#[test]
fn what_a_file_holds_beyond_the_queue_is_failed_too() {
    let place = Place::new();
    symlink("n.log", place.path("n.log")).unwrap();
    let input = place.file("in.jsonl", line("a").repeat(5_000));
    let args = ["--set", "queue.max_messages=100", "--timeout", "0.3", input];
    let ended = place.run(emit(&[&args[..], &["--failed", "failed"]].concat()));
    ended.says(3, "5000 read, 0 delivered by `log`, 5000 not sent");
    assert_eq!(place.lines("failed").len(), 5_000);
    place.run(emit(&args)).says(3, "was not read");
}

#[test]
fn it_waits_for_a_destination_that_comes_late_and_for_room() {
    let place = Place::new();
    symlink("n.log", place.path("n.log")).unwrap();
    let input = place.file("in.jsonl", line("a").repeat(1_000));
    let mut command = place.command(emit(&["--set", "queue.max_messages=10", "-v", input]));
    let mut child = command.stderr(place.create("err")).spawn().unwrap();
    wait_until("it was tried in vain", || place.read("err").contains("delivery failed, retrying"));
    fs::remove_file(place.path("n.log")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let said = place.read("err");
    assert!(said.contains("delivery resumed after"), "{said}");
    assert!(said.contains("1000 read, 1000 delivered"), "{said}");
    assert_eq!(place.lines("n.log").len(), 1_000);
}

#[test]
fn noop_and_disabled_say_so() {
    let place = Place::new();
    let ended = place.pipe(["emit", "--acks", "acks"], LIFECYCLE);
    ended.says(0, "nothing was sent: the strategy is `noop`").says(0, "11 not wanted");
    assert_eq!(place.read("acks"), "");
    let ended = place.pipe(emit(&["--set", "disabled_notifications=[\"task\"]"]), LIFECYCLE);
    ended.says(0, "11 read, 7 delivered by `log`, 4 not wanted");
    assert_eq!(place.lines("n.log").len(), 7);
}

#[test]
fn files_are_not_overwritten_that_are_read_or_written() {
    let place = Place::new();
    let input = place.file("in.jsonl", line("a"));
    place.run(emit(&[input, "--failed", "in.jsonl"])).says(2, "`in.jsonl` is the input");
    place.run(emit(&[input, "--acks", "./in.jsonl"])).says(2, "`./in.jsonl` is the input");
    place.run(emit(&[input, "--acks", "a", "--failed", "a"])).says(2, "are the same file");
    assert_eq!(place.read("in.jsonl"), line("a"));
    place
        .run(emit(&[input, "--acks", "none/acks"]))
        .says(2, "cannot write `none/acks`: No such file");
}

#[test]
fn configuration_comes_from_a_file_the_environment_and_settings() {
    let place = Place::new();
    place.file(
        "notify.toml",
        "strategy = \"log\"\npublisher_id = \"file\"\n[log]\nfile = \"n.log\"\n",
    );
    let publisher = |place: &Place| {
        let lines = place.lines("n.log");
        lines.last().unwrap()["publisher_id"].as_str().unwrap().to_owned()
    };
    let args = ["emit", "-c", "notify.toml"];
    place.pipe(args, line("a")).expect(0);
    assert_eq!(publisher(&place), "file");
    let mut command = place.command(["emit", "-c", "notify.toml", "--event", "image.upload"]);
    command.args(["--priority", "WARN", "--payload", "\"x\""]);
    command.env("GLANCE_NOTIFY__PUBLISHER_ID", "12");
    assert!(command.status().unwrap().success());
    assert_eq!(publisher(&place), "12");
    command.args(["--set", "publisher_id=set"]);
    assert!(command.status().unwrap().success());
    assert_eq!(publisher(&place), "set");
    place.file(
        "glance-api.conf",
        "[DEFAULT]\nnotifier_strategy = logging\nlog_file = n.log\ndefault_publisher_id = conf\n",
    );
    place.pipe(["emit", "-c", "glance-api.conf"], line("a")).expect(0);
    assert_eq!(publisher(&place), "conf");
    assert_eq!(json!(place.lines("n.log").len()), 4);
}
