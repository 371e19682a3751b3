//! `spool`: it shows the messages on the disk as they are, and changes only those that
//! you choose explicitly.
//!
//! An unreachable broker behind the spool keeps the messages pending.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::support::{
    CommandOutput, LIFECYCLE, SPOOL, Sandbox, emit, ids, line, spawn_piped, spooled, values,
    wait_until,
};

/// Returns the arguments of a `spool` subcommand on the directory `spool`.
fn spool<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["spool"], args, &SPOOL].concat()
}

/// Starts an `emit` that stores `lines` messages and keeps running, so that it owns a
/// slot.
fn start_slot_owner(sandbox: &Sandbox, lines: usize) -> Child {
    let mut child = spawn_piped(&mut sandbox.command(spooled(&["emit", "--acks", "held"])));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("held").repeat(lines).as_bytes()).unwrap();
    child.stdin = Some(stdin);
    wait_until("the messages are on the disk", || sandbox.lines_of("held") == lines);
    child
}

/// The exit code is 0 although the broker is unreachable. The summary shows the pending
/// messages, including those of earlier runs.
#[test]
fn emit_succeeds_once_every_message_is_stored() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("life.jsonl", LIFECYCLE);
    let output = sandbox.run(spooled(&["emit", "--acks", "acks", input]));
    let output = output.expect_message(0, "11 read, 11 delivered by `spool`");
    let expected = "spool: 0 forwarded by `rabbit`, 11 pending";
    assert!(output.err.contains(expected), "{}", output.err);
    let output = sandbox.run(spooled(&["emit", "-o", "json", input])).expect(0);
    let summary: Value = serde_json::from_str(&output.out).unwrap();
    let spool_stage = &summary["destinations"][0];
    assert_eq!(
        (&spool_stage["strategy"], &spool_stage["delivered"]),
        (&json!("spool"), &json!(11))
    );
    // The second run also has the pending messages of the first.
    let forwarded = &spool_stage["forwarded"];
    let counts = ["delivered", "refused"].map(|counter| &forwarded[counter]);
    assert_eq!((&forwarded["strategy"], counts), (&json!("rabbit"), [&json!(0); 2]));
    assert_eq!(forwarded["pending"]["messages"], 22);
    let listed = sandbox.run(spool(&["ls", "--messages", "-o", "json"])).expect(0);
    let listed = values(&listed.out);
    assert_eq!(listed.len(), 22);
    assert_eq!(ids(&listed[..11]), sandbox.read("acks").lines().collect::<Vec<_>>());
}

/// A permanent error behind the spool is no success: the notifications are on the disk, but only an
/// operator can make the spool forward them. The code does not depend on how soon the input ends.
#[test]
fn a_permanent_error_behind_the_spool_exits_with_2() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("directory")).unwrap();
    let destination = ["--set", "strategy=log", "--set", "log.file=directory"];
    let args = [&["emit", "--acks", "acks"], &destination[..], &SPOOL].concat();
    let output = sandbox.pipe(args, line("first"));
    let err = &output.err;
    assert_eq!(output.code, Some(2), "{err}");
    assert!(err.contains("the spool cannot forward the notifications, permanent error"), "{err}");
    assert!(err.contains("`log.file`") && err.contains("1 delivered by `spool`"), "{err}");
    assert!(err.contains("0 forwarded by `log`, 1 pending"), "{err}");
}

/// `check` looks at the spool although the destination cannot be reached.
#[test]
fn check_looks_at_the_spool_of_an_unreachable_destination() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(spooled(&["check"])).expect(3);
    assert!(
        output.out.contains("spool: ") && output.out.contains("does not exist yet"),
        "{}",
        output.out
    );
    fs::write(sandbox.path("file"), "").unwrap();
    let impossible = spooled(&["check"]);
    let impossible: Vec<_> =
        impossible.iter().map(|arg| arg.replace("dir=spool", "dir=file/spool")).collect();
    let impossible: Vec<_> = impossible.iter().map(String::as_str).collect();
    let output = sandbox.run(impossible);
    assert!(output.out.contains("cannot be opened as a directory"), "{}", output.out);
}

/// `ls` and `stats` agree, as text and as JSON, on a slot in use and after its process
/// has ended.
///
/// The counts of a slot in use come from the status file of its process.
#[test]
fn lists_slots_and_totals_as_text_and_json() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let mut child = start_slot_owner(&sandbox, 3);
    let slots = || values(&sandbox.run(spool(&["ls", "-o", "json"])).expect(0).out);
    // The process publishes its counts about once a second.
    wait_until("the process has published its counts", || {
        slots().iter().any(|slot| slot["pending"]["messages"] == 14)
    });
    let slots = slots();
    assert_eq!(slots.len(), 1, "the lowest free slot was taken");
    assert_eq!((&slots[0]["held"], &slots[0]["pid"]), (&json!(true), &json!(child.id())));
    let human = sandbox.run(spool(&["ls"])).expect(0).out;
    let rows: Vec<Vec<_>> = human.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["slot", "owner", "pending"]);
    assert_eq!(rows[1][..5], ["0", "process", &child.id().to_string(), "14", "0"]);

    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let human = sandbox.run(spool(&["ls"])).expect(0).out;
    let row: Vec<_> = human.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["0", "free", "14", "0"]);
    let stats = sandbox.run(spool(&["stats", "-o", "json"])).expect(0);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!(
        (&stats["slots"], &stats["held"], &stats["unknown"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(
        (&stats["pending"]["messages"], &stats["dead"]["messages"]),
        (&json!(14), &json!(0))
    );
    let listed = values(&sandbox.run(spool(&["ls", "--messages", "-o", "json"])).expect(0).out);
    let bodies: u64 = listed.iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
    assert!(stats["pending"]["bytes"].as_u64().unwrap() >= bodies);
    let oldest = stats["oldest"].as_str().unwrap().replace('T', " ").replace('Z', "");
    assert!(listed[0]["timestamp"].as_str().unwrap().starts_with(&oldest), "{oldest}");
    let human = sandbox.run(spool(&["stats"])).expect(0).out;
    assert!(human.contains("slots    1, 0 in use by a process\n"), "{human}");
    assert!(human.contains("pending  14 messages, "), "{human}");
}

/// Every subcommand that opens a slot refuses one in use, names the process to stop, and
/// exits with 3. Once the process has stopped, the same subcommand works.
///
/// Two writers of one database would damage it. The lock of the slot prevents that.
#[test]
fn leaves_a_slot_in_use_alone_and_names_its_process() {
    let sandbox = Sandbox::new();
    let mut child = start_slot_owner(&sandbox, 2);
    let id = sandbox.read("held").lines().next().unwrap().to_owned();
    let expected = format!("slot 0 is in use by process {}: stop that process first", child.id());
    for args in [
        &["ls", "--messages"][..],
        &["show", &id],
        &["show", "0/0"],
        &["retry", "--all"],
        &["drop", "--all"],
        &["drop", &id, "--slot", "0"],
        &["export"],
    ] {
        let output = sandbox.run(spool(args)).expect_message(3, &expected);
        assert_eq!(output.out, "", "{args:?}");
    }
    let missing = format!("no message {id} in the readable slots");
    sandbox.run(spool(&["drop", &id])).expect_message(3, &missing);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    sandbox
        .run(spool(&["drop", &id]))
        .expect_message(0, "dropped 1 pending message and 0 dead letters");
}

/// Both forms of reference find the same message. The indented form has the same value
/// as the JSON form.
#[test]
fn shows_a_whole_message_by_id_and_by_position() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let acks = sandbox.read("acks");
    for (number, id) in acks.lines().enumerate() {
        let by_id = sandbox.run(spool(&["show", "-o", "json", id])).expect(0).out;
        let by_place =
            sandbox.run(spool(&["show", "-o", "json", &format!("0/{number}")])).expect(0).out;
        assert_eq!(by_id, by_place);
        let whole = &values(&by_id)[0];
        assert_eq!(whole["message_id"], id);
        let human = sandbox.run(spool(&["show", id])).expect(0).out;
        let (head, body) = human.split_once('\n').unwrap();
        assert!(head.starts_with(&format!("0/{number}: pending, emitted ")), "{head}");
        assert!(body.lines().count() >= 8, "{body}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), *whole);
    }
}

/// An export is valid input for `emit`, keeps ids and bytes, and removes nothing from
/// the spool. The file is private.
///
/// The export is the way to move messages to another destination.
#[test]
fn exported_messages_are_re_emitted_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let out = sandbox.run(spool(&["export"])).expect_message(0, "exported 11 messages").out;
    sandbox.run(spool(&["export", "file"])).expect_message(0, "exported 11 messages");
    assert_eq!(sandbox.read("file"), out);
    let mode = fs::metadata(sandbox.path("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    sandbox.run(emit(&["file"])).expect_message(0, "11 read, 11 delivered by `log`");
    assert_eq!(sandbox.read("n.log"), out, "byte for byte");
    assert_eq!(ids(&sandbox.lines("n.log")), sandbox.read("acks").lines().collect::<Vec<_>>());
    // The messages are still in the spool, and none is a dead letter.
    assert_eq!(
        values(&sandbox.run(spool(&["ls", "-o", "json"])).out)[0]["pending"]["messages"],
        11
    );
    sandbox.run(spool(&["export", "--dead"])).expect_message(0, "exported 0 messages");
}

/// `export` never follows a link and never replaces a file unless you add `--force`,
/// which replaces the link and not its target, and never something else, such as a device or a pipe.
///
/// Another user may have planted the link in a shared directory.
#[test]
fn export_overwrites_a_file_only_with_force() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
    sandbox.file("file", "precious");
    let output = sandbox.run(spool(&["export", "file"]));
    output.expect_message(2, "`file` exists already: name another file, or add `--force`");
    assert_eq!(sandbox.read("file"), "precious");
    symlink("file", sandbox.path("link")).unwrap();
    sandbox.run(spool(&["export", "link"])).expect_message(2, "exists already");
    sandbox.run(spool(&["export", "link", "--force"])).expect(0);
    assert_eq!(sandbox.read("file"), "precious");
    sandbox.run(spool(&["export", "file", "--force"])).expect(0);
    assert_eq!(sandbox.lines("file").len(), 1);
    assert!(Command::new("mkfifo").arg(sandbox.path("pipe")).status().unwrap().success());
    let output = sandbox.run(spool(&["export", "pipe", "--force"]));
    output.expect_message(2, "cannot write `pipe`: it is not a regular file: name another path");
    assert!(fs::metadata(sandbox.path("pipe")).unwrap().file_type().is_fifo());
    sandbox
        .run(spool(&["export", "none/file"]))
        .expect_message(2, "cannot write `none/file`: No such");
}

/// `export --force` replaces no link to a device or to a standard stream, such as `/dev/stdout`, wherever the stream
/// goes. A link that leads nowhere is replaced.
#[test]
fn export_keeps_links_to_devices_and_streams() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
    for (link, target, reason) in [
        ("null", "/dev/null", "it is not a regular file"),
        ("stdout", "/proc/self/fd/1", "it is a link into /proc"),
        ("closed", "/proc/self/fd/99", "it is a link into /proc"),
    ] {
        symlink(target, sandbox.path(link)).unwrap();
        let mut command = sandbox.command(spool(&["export", link, "--force"]));
        let output = command.stdout(sandbox.create("out")).output().unwrap();
        let message = format!("cannot write `{link}`: {reason}: name another path");
        CommandOutput::from(output).expect_message(2, &message);
        assert_eq!(fs::read_link(sandbox.path(link)).unwrap(), Path::new(target));
    }
    symlink("missing", sandbox.path("dangling")).unwrap();
    sandbox.run(spool(&["export", "dangling", "--force"])).expect(0);
    assert_eq!(sandbox.lines("dangling").len(), 1);
    assert!(!sandbox.path("missing").exists());
}

/// `drop` needs a choice, and rejects a contradictory one. It removes exactly the named
/// messages.
///
/// A reference without a match is an error with code 2, and the other messages are still
/// dropped.
#[test]
fn drops_only_the_chosen_messages() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let acks = sandbox.read("acks");
    let acks: Vec<_> = acks.lines().collect();
    for no_choice in [&["drop"][..], &["drop", "-o", "json"], &["drop", "--slot", "0"]] {
        sandbox.run(spool(no_choice)).expect_message(2, "required arguments were not provided");
    }
    sandbox.run(spool(&["drop", "--all", acks[0]])).expect_message(2, "cannot be used with");
    sandbox.run(spool(&["drop", "--all", "--dead"])).expect_message(2, "cannot be used with");
    sandbox.run(spool(&["drop", "--dead"])).expect_message(0, "dropped 0 pending messages");
    let output = sandbox.run(spool(&["drop", "-o", "json", acks[3], "0/7", acks[7]])).expect(0);
    assert_eq!(output.out, "{\"pending\":2,\"dead\":0}\n");
    let left = || {
        let listed = sandbox.run(spool(&["ls", "--messages", "-o", "json"])).expect(0).out;
        ids(&values(&listed)).join("\n")
    };
    let expected: Vec<_> = (0..11).filter(|n| ![3, 7].contains(n)).map(|n| acks[n]).collect();
    assert_eq!(left(), expected.join("\n"));
    sandbox.run(spool(&["drop", acks[3]])).expect_message(2, &format!("no message {}", acks[3]));
    sandbox.run(spool(&["drop", "--all"])).expect_message(0, "dropped 9 pending messages");
    assert_eq!(left(), "");
}

/// Each wrong combination of options, and an insecure directory, has a message that
/// names the solution. The stored message survives all of them.
#[test]
fn wrong_usage_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run(["spool", "ls"]).expect_message(2, "no spool is configured: set `spool.dir`");
    sandbox.run(spool(&["ls"])).expect_message(2, "No such file or directory");
    sandbox
        .run(spool(&["drain", "--set", "strategy=log", "--set", "log.file=n"]))
        .expect_message(2, "No such");
    assert!(!sandbox.path("spool").exists());
    sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
    sandbox.run(["spool"]).expect_message(2, "Usage: glance-notify spool");
    for no_choice in [&["retry"][..], &["retry", "-o", "json"], &["retry", "--slot", "0"]] {
        sandbox.run(spool(no_choice)).expect_message(2, "required arguments were not provided");
    }
    sandbox.run(spool(&["retry", "--all", "0/1"])).expect_message(2, "cannot be used with");
    sandbox.run(spool(&["retry", "0/0"])).expect_message(2, "no dead letter 0/0");
    sandbox.run(spool(&["show", "xyz"])).expect_message(2, "expected a message_id, or SLOT/NUMBER");
    sandbox.run(spool(&["ls", "--dead"])).expect_message(2, "add `--messages`");
    sandbox
        .run(spool(&["ls", "--messages", "--dead", "--pending"]))
        .expect_message(2, "cannot be used with");
    sandbox.run(spool(&["ls", "--slot", "7"])).expect_message(2, "has no slot 7");
    sandbox.run(spool(&["export", "--slot", "7"])).expect_message(2, "has no slot 7");
    sandbox.run(spool(&["export", "--force"])).expect_message(2, "FILE");
    sandbox
        .run(spool(&["ls", "--set", "spool.size=1"]))
        .expect_message(2, "`spool.size` (--set): unknown option");
    fs::set_permissions(sandbox.path("spool"), fs::Permissions::from_mode(0o777)).unwrap();
    sandbox.run(spool(&["ls"])).expect_message(2, "`spool.dir`: ");
    fs::set_permissions(sandbox.path("spool"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(values(&sandbox.run(spool(&["ls", "-o", "json"])).out)[0]["pending"]["messages"], 1);
}

/// A damaged slot is an error with its path, in every subcommand once. The messages of
/// other slots still appear and still drain.
///
/// JSON carries the error in the field `error`, and `stats` counts the slot as unknown.
#[test]
fn reports_an_unreadable_slot_and_still_reads_the_others() {
    let sandbox = Sandbox::new();
    let mut child = start_slot_owner(&sandbox, 1);
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    drop(child.stdin.take());
    child.wait().unwrap();
    fs::write(sandbox.path("spool/slot-0.redb"), vec![b'x'; 50_000]).unwrap();
    let expected = "slot-0.redb is damaged or has an unknown format: move it away";
    let slots = values(&sandbox.run(spool(&["ls", "-o", "json"])).expect_message(2, expected).out);
    assert!(slots[0]["error"].as_str().unwrap().contains(expected), "{}", slots[0]);
    assert_eq!(
        (&slots[0]["pending"], &slots[1]["pending"]["messages"]),
        (&json!(null), &json!(11))
    );
    let stats = sandbox.run(spool(&["stats", "-o", "json"])).expect_message(2, expected);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!((&stats["unknown"], &stats["pending"]["messages"]), (&json!(1), &json!(11)));
    assert_eq!(sandbox.run(spool(&["export"])).expect_message(2, expected).out.lines().count(), 11);
    let log = ["drain", "--set", "strategy=log", "--set", "log.file=n.log"];
    let output = sandbox.run(spool(&log)).expect_message(2, "11 delivered by `log`");
    assert_eq!(output.err.matches(expected).count(), 1, "{}", output.err);
}

/// `--tz` holds for the messages of a list too. JSON has the timestamp of the notification.
#[test]
fn messages_have_times_in_the_chosen_zone() {
    let sandbox = Sandbox::new();
    let mut whole = values(&sandbox.run(["schema", "--example", "image.upload"]).out).remove(0);
    whole["timestamp"] = json!("2026-11-24 12:00:00.123456");
    sandbox.pipe(spooled(&["emit"]), whole.to_string()).expect(0);
    for (zone, time) in [("UTC", "2026-11-24T12:00:00Z"), ("+02:00", "2026-11-24T14:00:00+02:00")] {
        let args = ["ls", "--messages", "--tz", zone];
        let listed = sandbox.run(spool(&args)).expect(0).out;
        assert!(listed.contains(&format!(" {time} ")), "{listed}");
        let listed = sandbox.run(spool(&[&args[..], &["-o", "json"]].concat())).expect(0).out;
        assert_eq!(values(&listed)[0]["timestamp"], whole["timestamp"]);
    }
}

/// A publisher id or a payload with control characters reaches the terminal escaped,
/// whichever subcommand shows it.
#[test]
fn escapes_untrusted_text_in_every_command() {
    let sandbox = Sandbox::new();
    let mut whole = values(&sandbox.run(["schema", "--example", "image.upload"]).out).remove(0);
    whole["publisher_id"] = json!("host\u{1b}[2J\u{202e}\u{9b}");
    whole["payload"]["name"] = json!("\u{1b}]0;x\u{7}\u{2066}\u{e9}");
    sandbox.pipe(spooled(&["emit"]), whole.to_string()).expect(0);
    for args in [
        &["ls", "--messages"][..],
        &["ls", "--messages", "-o", "json"],
        &["show", "0/0"],
        &["show", "0/0", "-o", "json"],
        &["export"],
        &["ls"],
    ] {
        let output = sandbox.run(spool(args)).expect(0);
        let shown = format!("{}{}", output.out, output.err);
        let harmful = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}".contains(c));
        assert!(!shown.contains(harmful), "{args:?}: {shown:?}");
    }
    let listed = values(&sandbox.run(spool(&["ls", "--messages", "-o", "json"])).out);
    assert_eq!(listed[0]["publisher_id"], whole["publisher_id"]);
}

/// The completion script knows the nested subcommands.
#[test]
fn completions_cover_the_spool_commands() {
    let script = Sandbox::new().run(["completions", "bash"]).expect(0).out;
    for command in ["ls", "show", "stats", "retry", "drop", "export", "drain"] {
        assert!(script.contains(&format!("__spool__subcmd__{command}")), "{command}");
    }
}

/// Runs the commands of the manual in order, on a spool with messages.
///
/// A command in the manual that no longer works is a bug of the manual.
#[test]
fn runs_every_spool_command_of_the_manual() {
    let sandbox = Sandbox::new();
    let manual = include_str!("../../../../docs/spool.md");
    let (_, section) = manual.split_once("## The command `spool`\n").unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    sandbox
        .file("notify.toml", "strategy = \"log\"\nlog.file = \"n.log\"\nspool.dir = \"spool\"\n");
    let input = sandbox.file("in.jsonl", line("a").repeat(18));
    sandbox.run(spooled(&["emit", input])).expect(0);
    for command in block.lines() {
        let command = command.replace("/etc/glance/notify.toml", "notify.toml");
        let (_, args) = command.split_once(' ').unwrap();
        sandbox.run(args.split(' ')).expect(0);
    }
    assert_eq!((block.lines().count(), sandbox.lines("n.log").len()), (8, 18));
}
