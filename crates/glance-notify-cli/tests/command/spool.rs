//! `spool`: what waits on the disk is told as it is, and changed by whoever asks for it explicitly.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Child;

use serde_json::{Value, json};

use crate::support::{
    LIFECYCLE, Place, SPOOL, emit, ids, line, piped, spooled, values, wait_until,
};

/// `spool` in a directory that was not configured otherwise.
fn spool<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["spool"], args, &SPOOL].concat()
}

/// A process that has `lines` lines in a slot of its own, and holds it.
fn holder(place: &Place, lines: usize) -> Child {
    let mut child = piped(&mut place.command(spooled(&["emit", "--acks", "held"])));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("held").repeat(lines).as_bytes()).unwrap();
    child.stdin = Some(stdin);
    wait_until("it is on the disk", || place.lines_of("held") == lines);
    child
}

#[test]
fn emit_is_done_when_everything_is_on_the_disk() {
    let place = Place::new();
    let input = place.file("life.jsonl", LIFECYCLE);
    let ended = place.run(spooled(&["emit", "--acks", "acks", input]));
    let ended = ended.says(0, "11 read, 11 delivered by `spool`");
    let said = "on the disk: 0 forwarded by `rabbit`, 11 still to be forwarded";
    assert!(ended.err.contains(said), "{}", ended.err);
    let ended = place.run(spooled(&["emit", "--summary", "json", input])).expect(0);
    let summary: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&summary["strategy"], &summary["delivered"]), (&json!("spool"), &json!(11)));
    // What the first left is to be forwarded by the second too.
    let forwarded = json!({ "strategy": "rabbit", "delivered": 0, "refused": 0, "pending": 22 });
    assert_eq!(summary["forwarded"], forwarded);
    let listed = place.run(spool(&["ls", "--messages", "--json"])).expect(0);
    let listed = values(&listed.out);
    assert_eq!(listed.len(), 22);
    assert_eq!(ids(&listed[..11]), place.read("acks").lines().collect::<Vec<_>>());
}

#[test]
fn slots_and_totals_are_told_to_people_and_to_programs() {
    let place = Place::new();
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let mut child = holder(&place, 3);
    let slots = || values(&place.run(spool(&["ls", "--json"])).expect(0).out);
    // It says what is in it within a second or so.
    wait_until("the process has said what it holds", || {
        slots().iter().any(|slot| slot["pending"]["messages"] == 14)
    });
    let slots = slots();
    assert_eq!(slots.len(), 1, "the lowest free slot was taken");
    assert_eq!((&slots[0]["held"], &slots[0]["pid"]), (&json!(true), &json!(child.id())));
    let human = place.run(spool(&["ls"])).expect(0).out;
    let rows: Vec<Vec<_>> = human.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["slot", "holder", "pending"]);
    assert_eq!(rows[1][..5], ["0", "process", &child.id().to_string(), "14", "0"]);

    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let human = place.run(spool(&["ls"])).expect(0).out;
    let row: Vec<_> = human.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["0", "free", "14", "0"]);
    let stats = place.run(spool(&["stats", "--json"])).expect(0);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(
        (&stats["slots"], &stats["held"], &stats["unknown"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(
        (&stats["pending"]["messages"], &stats["dead"]["messages"]),
        (&json!(14), &json!(0))
    );
    let listed = values(&place.run(spool(&["ls", "--messages", "--json"])).expect(0).out);
    let bodies: u64 = listed.iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
    assert!(stats["pending"]["bytes"].as_u64().unwrap() >= bodies);
    let oldest = stats["oldest"].as_str().unwrap().replace('T', " ").replace('Z', "");
    assert!(listed[0]["timestamp"].as_str().unwrap().starts_with(&oldest), "{oldest}");
    let human = place.run(spool(&["stats"])).expect(0).out;
    assert!(human.contains("slots    1, 0 of them held by a process\n"), "{human}");
    assert!(human.contains("pending  14 messages, "), "{human}");
}

#[test]
fn what_a_process_holds_is_left_to_it_and_the_process_is_named() {
    let place = Place::new();
    let mut child = holder(&place, 2);
    let id = place.read("held").lines().next().unwrap().to_owned();
    let said = format!("slot 0 is in use by process {}: stop that process first", child.id());
    for args in [
        &["ls", "--messages"][..],
        &["show", &id],
        &["show", "0/0"],
        &["retry", "--all"],
        &["drop", "--all"],
        &["drop", &id, "--slot", "0"],
        &["export"],
    ] {
        let ended = place.run(spool(args)).says(3, &said);
        assert_eq!(ended.out, "", "{args:?}");
    }
    let missing = format!("there is no message {id} in what can be looked at");
    place.run(spool(&["drop", &id])).says(3, &missing);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.run(spool(&["drop", &id])).says(0, "dropped 1 messages that were to be forwarded and 0");
}

#[test]
fn a_message_is_shown_whole_by_its_id_and_by_its_place() {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let acks = place.read("acks");
    for (number, id) in acks.lines().enumerate() {
        let by_id = place.run(spool(&["show", "--json", id])).expect(0).out;
        let by_place = place.run(spool(&["show", "--json", &format!("0/{number}")])).expect(0).out;
        assert_eq!(by_id, by_place);
        let whole = &values(&by_id)[0];
        assert_eq!(whole["message_id"], id);
        let human = place.run(spool(&["show", id])).expect(0).out;
        let (head, body) = human.split_once('\n').unwrap();
        assert!(head.starts_with(&format!("0/{number}: to be forwarded, emitted ")), "{head}");
        assert!(body.lines().count() >= 8, "{body}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), *whole);
    }
}

#[test]
fn what_is_exported_is_emitted_again_as_it_was() {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let out = place.run(spool(&["export"])).says(0, "11 exported").out;
    place.run(spool(&["export", "--output", "file"])).says(0, "11 exported");
    assert_eq!(place.read("file"), out);
    let mode = fs::metadata(place.path("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    place.run(emit(&["file"])).says(0, "11 read, 11 delivered by `log`");
    assert_eq!(place.read("n.log"), out, "byte for byte");
    assert_eq!(ids(&place.lines("n.log")), place.read("acks").lines().collect::<Vec<_>>());
    // It is still there, and there are no dead letters.
    assert_eq!(values(&place.run(spool(&["ls", "--json"])).out)[0]["pending"]["messages"], 11);
    place.run(spool(&["export", "--dead"])).says(0, "0 exported");
}

#[test]
fn an_export_overwrites_nothing_that_it_is_not_told_to() {
    let place = Place::new();
    place.pipe(spooled(&["emit"]), line("a")).expect(0);
    place.file("file", "precious");
    let ended = place.run(spool(&["export", "--output", "file"]));
    ended.says(2, "`file` exists already: name another, or add `--force`");
    assert_eq!(place.read("file"), "precious");
    symlink("file", place.path("link")).unwrap();
    place.run(spool(&["export", "--output", "link"])).says(2, "exists already");
    place.run(spool(&["export", "--output", "link", "--force"])).expect(0);
    assert_eq!(place.read("file"), "precious");
    place.run(spool(&["export", "-o", "file", "--force"])).expect(0);
    assert_eq!(place.lines("file").len(), 1);
    place.run(spool(&["export", "-o", "none/file"])).says(2, "cannot write `none/file`: No such");
}

#[test]
fn only_what_is_chosen_is_dropped() {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let acks = place.read("acks");
    let acks: Vec<_> = acks.lines().collect();
    place.run(spool(&["drop"])).says(2, "required arguments were not provided");
    place.run(spool(&["drop", "--all", acks[0]])).says(2, "cannot be used with");
    place.run(spool(&["drop", "--all", "--dead"])).says(2, "cannot be used with");
    place.run(spool(&["drop", "--dead"])).says(0, "dropped 0 messages");
    let ended = place.run(spool(&["drop", "--json", acks[3], "0/7", acks[7]])).expect(0);
    assert_eq!(ended.out, "{\"pending\":2,\"dead\":0}\n");
    let left = || {
        let listed = place.run(spool(&["ls", "--messages", "--json"])).expect(0).out;
        ids(&values(&listed)).join("\n")
    };
    let expected: Vec<_> = (0..11).filter(|n| ![3, 7].contains(n)).map(|n| acks[n]).collect();
    assert_eq!(left(), expected.join("\n"));
    place.run(spool(&["drop", acks[3]])).says(2, &format!("there is no message {}", acks[3]));
    place.run(spool(&["drop", "--all"])).says(0, "dropped 9 messages that were to be forwarded");
    assert_eq!(left(), "");
}

#[test]
fn wrong_usage_is_refused_and_changes_nothing() {
    let place = Place::new();
    place.run(["spool", "ls"]).says(2, "no spool is configured: set `spool.dir`");
    place.run(spool(&["ls"])).says(3, "No such file or directory");
    place.run(spool(&["drain", "--set", "strategy=log", "--set", "log.file=n"])).says(3, "No such");
    assert!(!place.path("spool").exists());
    place.pipe(spooled(&["emit"]), line("a")).expect(0);
    place.run(["spool"]).says(2, "Usage: glance-notify spool");
    place.run(spool(&["retry"])).says(2, "required arguments were not provided");
    place.run(spool(&["retry", "--all", "0/1"])).says(2, "cannot be used with");
    place.run(spool(&["retry", "0/0"])).says(2, "there is no dead letter 0/0");
    place.run(spool(&["show", "xyz"])).says(2, "expected a message_id, or SLOT/NUMBER");
    place.run(spool(&["ls", "--dead"])).says(2, "add `--messages`");
    place.run(spool(&["ls", "--messages", "--dead", "--pending"])).says(2, "cannot be used with");
    place.run(spool(&["ls", "--slot", "7"])).says(2, "has no slot 7");
    place.run(spool(&["export", "--slot", "7"])).says(2, "has no slot 7");
    place.run(spool(&["export", "--force"])).says(2, "--output");
    place
        .run(spool(&["ls", "--set", "spool.size=1"]))
        .says(2, "`spool.size` (--set): unknown option");
    fs::set_permissions(place.path("spool"), fs::Permissions::from_mode(0o777)).unwrap();
    place.run(spool(&["ls"])).says(2, "`spool.dir`: ");
    fs::set_permissions(place.path("spool"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(values(&place.run(spool(&["ls", "--json"])).out)[0]["pending"]["messages"], 1);
}

#[test]
fn a_slot_that_cannot_be_read_is_told_and_hides_no_other() {
    let place = Place::new();
    let mut child = holder(&place, 1);
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    drop(child.stdin.take());
    child.wait().unwrap();
    fs::write(place.path("spool/slot-0.redb"), vec![b'x'; 50_000]).unwrap();
    let said = "slot-0.redb is damaged or has an unknown format: move it away";
    let slots = values(&place.run(spool(&["ls", "--json"])).says(2, said).out);
    assert!(slots[0]["error"].as_str().unwrap().contains(said), "{}", slots[0]);
    assert_eq!(
        (&slots[0]["pending"], &slots[1]["pending"]["messages"]),
        (&json!(null), &json!(11))
    );
    let stats = place.run(spool(&["stats", "--json"])).says(2, said);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!((&stats["unknown"], &stats["pending"]["messages"]), (&json!(1), &json!(11)));
    assert_eq!(place.run(spool(&["export"])).says(2, said).out.lines().count(), 11);
    let log = ["drain", "--set", "strategy=log", "--set", "log.file=n.log"];
    let ended = place.run(spool(&log)).says(2, "11 delivered by `log`");
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.err);
}

/// A publisher's name reaches a terminal escaped, whatever command shows it.
#[test]
fn nothing_untrusted_is_shown_unescaped() {
    let place = Place::new();
    let mut whole = values(&place.run(["schema", "--example", "image.upload"]).out).remove(0);
    whole["publisher_id"] = json!("host\u{1b}[2J\u{202e}\u{9b}");
    whole["payload"]["name"] = json!("\u{1b}]0;x\u{7}\u{2066}\u{e9}");
    place.pipe(spooled(&["emit"]), whole.to_string()).expect(0);
    for args in [
        &["ls", "--messages"][..],
        &["ls", "--messages", "--json"],
        &["show", "0/0"],
        &["show", "0/0", "--json"],
        &["export"],
        &["ls"],
    ] {
        let ended = place.run(spool(args)).expect(0);
        let shown = format!("{}{}", ended.out, ended.err);
        let harmful = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}".contains(c));
        assert!(!shown.contains(harmful), "{args:?}: {shown:?}");
    }
    let listed = values(&place.run(spool(&["ls", "--messages", "--json"])).out);
    assert_eq!(listed[0]["publisher_id"], whole["publisher_id"]);
}

#[test]
fn each_shell_completes_it() {
    let script = Place::new().run(["completions", "bash"]).expect(0).out;
    for command in ["ls", "show", "stats", "retry", "drop", "export", "drain"] {
        assert!(script.contains(&format!("__spool__subcmd__{command}")), "{command}");
    }
}

/// The manual's own lines, one after the other, on a spool that has what they speak of.
#[test]
fn every_command_of_the_manual_works() {
    let place = Place::new();
    let manual = include_str!("../../../../docs/spool.md");
    let (_, section) = manual.split_once("## The command `spool`\n").unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    place.file("notify.toml", "strategy = \"log\"\nlog.file = \"n.log\"\nspool.dir = \"spool\"\n");
    let input = place.file("in.jsonl", line("a").repeat(18));
    place.run(spooled(&["emit", input])).expect(0);
    for command in block.lines() {
        let command = command.replace("/etc/glance/notify.toml", "notify.toml");
        let (_, args) = command.split_once(' ').unwrap();
        place.run(args.split(' ')).expect(0);
    }
    assert_eq!((block.lines().count(), place.lines("n.log").len()), (8, 18));
}
