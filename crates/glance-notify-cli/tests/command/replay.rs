//! `replay`: the notifications of files to a destination, with their ids, also after an interruption.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{
    CommandOutput, Sandbox, broken_pipe, ids, send_signal, spawn_piped, values, wait_until,
};

/// A day of a small cloud.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// A directory with a file of notifications and a destination.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", DAY);
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\nlog.sync = false\n");
    sandbox
}

/// Each notification that the options select arrives once, with its id, in the order of the file.
#[test]
fn notifications_keep_their_ids() {
    let sandbox = sandbox();
    let args = ["replay", "--from", "day.jsonl", "--to", "to.toml"];
    let output = sandbox.run(args).expect(0);
    assert!(output.err.contains("101 received, 101 forwarded"), "{}", output.err);
    assert_eq!(ids(&values(&sandbox.read("copy.jsonl"))), ids(&values(DAY)));

    std::fs::remove_file(sandbox.path("copy.jsonl")).unwrap();
    sandbox.run([&args[..], &["--event", "image.delete"]].concat()).expect(0);
    let copied = sandbox.lines("copy.jsonl");
    assert_eq!(copied.len(), 4);
    assert!(copied.iter().all(|line| line["event_type"] == "image.delete"));
}

/// A destination that appends to a file that is read would never end.
#[test]
fn a_source_is_no_destination() {
    let sandbox = sandbox();
    let to = "strategy = 'log'\nlog.file = './day.jsonl'\nlog.sync = false\n";
    sandbox.file("to.toml", to);
    for from in ["day.jsonl", "-"] {
        for command in ["replay", "listen"] {
            let mut command = sandbox.command([command, "--from", from, "--to", "to.toml"]);
            command.stdin(std::fs::File::open(sandbox.path("day.jsonl")).unwrap());
            CommandOutput::from(command.output().unwrap())
                .expect_message(2, "`log.file` is the input file: name another");
        }
    }
    sandbox.file("to.toml", "strategy = 'log'\nlog.target = 'stdout'\n");
    let day = std::fs::File::options().append(true).open(sandbox.path("day.jsonl")).unwrap();
    let mut command = sandbox.command(["replay", "--from", "day.jsonl", "--to", "to.toml"]);
    CommandOutput::from(command.stdout(day).output().unwrap())
        .expect_message(2, "`log.target` writes to standard output, which is the input file");
    assert_eq!(sandbox.read("day.jsonl"), DAY);
}

/// A destination on standard output ends the command with the reader of the pipe, also while a rate holds the
/// next notification up. An optional one holds up no other.
#[test]
fn a_closed_pipe_behind_the_destination_ends_the_command() {
    let sandbox = sandbox();
    let output = "strategy = 'log'\nlog.target = 'stdout'\n";
    sandbox.file("out.toml", output);
    let unread = |args: &[&str]| -> CommandOutput {
        sandbox.command(args).stdout(broken_pipe()).output().unwrap().into()
    };
    let message = "not everything was forwarded: standard output is closed";
    for command in ["replay", "listen"] {
        let args = [command, "--from", "day.jsonl", "--to", "out.toml"];
        unread(&args).expect_message(3, message);
    }

    let args = ["replay", "--from", "day.jsonl", "--to", "out.toml", "--rate", "2"];
    let mut child = spawn_piped(&mut sandbox.command(args));
    // As `head -1` does: one line, then the end.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(ids(&values(&line)), ids(&values(DAY))[..1]);
    CommandOutput::from(child.wait_with_output().unwrap()).expect_message(3, message);

    let copy = sandbox.read("to.toml");
    let optional = format!(
        "queue.drain_timeout = 0.2\n[[destination]]\nname = 'copy'\n{copy}\
         [[destination]]\nname = 'out'\nrequired = false\n{output}"
    );
    sandbox.file("to.toml", optional);
    let args = ["replay", "--from", "day.jsonl", "--to", "to.toml"];
    unread(&args).expect_message(0, "101 received, 101 forwarded");
    assert_eq!(sandbox.lines_of("copy.jsonl"), 101);
}

/// The last line of a file needs no line end.
#[test]
fn the_last_line_needs_no_line_end() {
    let sandbox = sandbox();
    sandbox.file("one.jsonl", DAY.lines().next().unwrap());
    let output = sandbox.run(["replay", "--from", "one.jsonl", "--to", "to.toml"]).expect(0);
    assert!(output.err.contains("1 received, 1 forwarded"), "{}", output.err);
    assert_eq!(sandbox.lines_of("copy.jsonl"), 1);
}

/// An archive is replayed with the same bodies as its export, each notification once, and selected by the
/// options as files are.
#[test]
fn an_archive_is_replayed() {
    let sandbox = sandbox();
    sandbox.run(["archive", "import", "--archive", "audit", "day.jsonl", "day.jsonl"]).expect(0);
    let args = ["replay", "--from", "audit", "--to", "to.toml"];
    let output = sandbox.run(args).expect(0);
    assert!(output.err.contains("101 received, 101 forwarded"), "{}", output.err);
    let exported = sandbox.run(["archive", "export", "--archive", "audit"]).expect(0).out;
    assert_eq!(values(&sandbox.read("copy.jsonl")), values(&exported));

    for options in [&["--event", "image.delete"][..], &["--image", "debian-12"]] {
        std::fs::remove_file(sandbox.path("copy.jsonl")).unwrap();
        sandbox.run([&args[..], options].concat()).expect(0);
        let search = [&["search", "--from", "day.jsonl", "-o", "raw"][..], options].concat();
        let found = values(&sandbox.run(search).expect(0).out);
        let copied = values(&sandbox.read("copy.jsonl"));
        let distinct = |values| ids(values).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(distinct(&copied), distinct(&found), "{options:?}");
    }
    let output = sandbox.run([&args[..], &["--dry-run", "--priority", "error"]].concat()).expect(0);
    assert!(output.err.contains(" to be forwarded"), "{}", output.err);
}

/// Nothing arrives in an archive, so `listen` names the commands that read one.
#[test]
fn an_archive_is_not_listened_to() {
    let sandbox = sandbox();
    sandbox.run(["archive", "import", "--archive", "audit", "day.jsonl"]).expect(0);
    sandbox.run(["listen", "--from", "audit"]).expect_message(2, "use `glance-notify search`");
}

/// The archive keeps both notifications of a reused id, and a replay sends both.
#[test]
fn both_notifications_of_a_reused_id_are_replayed() {
    let sandbox = sandbox();
    let line = DAY.lines().next().unwrap();
    let other = line.replace(r#""publisher_id": "glance-api""#, r#""publisher_id": "other""#);
    sandbox.file("two.jsonl", format!("{line}\n{other}\n"));
    sandbox.run(["archive", "import", "--archive", "audit", "two.jsonl"]).expect(0);
    let output = sandbox.run(["replay", "--from", "audit", "--to", "to.toml"]).expect(0);
    assert!(output.err.contains("2 received, 2 forwarded"), "{}", output.err);
    assert_eq!(sandbox.lines_of("copy.jsonl"), 2);
}

/// `--dry-run` counts and sends nothing.
#[test]
fn a_dry_run_sends_nothing() {
    let sandbox = sandbox();
    let args = ["replay", "--from", "day.jsonl", "--to", "to.toml", "--dry-run"];
    let output = sandbox.run([&args[..], &["--event", "image.delete"]].concat()).expect(0);
    assert!(output.err.contains("4 to be forwarded, 97 left out"), "{}", output.err);
    assert!(!sandbox.path("copy.jsonl").exists());
    let missing = ["replay", "--from", "day.jsonl", "--to", "no.toml", "--dry-run"];
    sandbox.run(missing).expect_message(2, "`no.toml`");
}

/// `--set` changes neither the destination nor the sources, which are files of their own: 2, and nothing is sent.
#[test]
fn a_setting_of_the_destination_is_refused() {
    let sandbox = sandbox();
    sandbox.run(["archive", "import", "--archive", "audit", "day.jsonl"]).expect(0);
    for from in ["day.jsonl", "audit"] {
        let args = ["replay", "--from", from, "--to", "to.toml"];
        for (key, value) in
            [("log.file", "other.log"), ("disabled_notifications", "[\"image\"]"), ("source", "[]")]
        {
            let setting = format!("{key}={value}");
            let message = format!("--set: `{key}` has no effect because this command reads only");
            let output = sandbox.run([&args[..], &["--set", &setting]].concat());
            output.expect_message(2, &message);
        }
        assert!(!sandbox.path("copy.jsonl").exists());
        sandbox.run([&args[..], &["--set", "listener.prefetch=10"]].concat()).expect(0);
        std::fs::remove_file(sandbox.path("copy.jsonl")).unwrap();
    }
}

/// `--rate` sends no faster.
#[test]
fn a_rate_is_not_exceeded() {
    let sandbox = sandbox();
    let start = Instant::now();
    let args = ["replay", "--from", "day.jsonl", "--to", "to.toml", "--rate", "50", "-n", "50"];
    sandbox.run(args).expect(0);
    // The first tenth of a second may be caught up.
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    assert_eq!(sandbox.lines_of("copy.jsonl"), 50);
}

/// An interrupted replay exits with 3 and continues at its checkpoint: every notification arrives, and none that was acknowledged
/// before comes again.
#[test]
fn an_interrupted_replay_continues() {
    let sandbox = sandbox();
    let args = ["replay", "--from", "day.jsonl", "--to", "to.toml", "--checkpoint", "position"];
    let mut command = sandbox.command([&args[..], &["--rate", "20"]].concat());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("some arrived", || {
        sandbox.path("copy.jsonl").exists() && sandbox.lines_of("copy.jsonl") >= 10
    });
    send_signal("TERM", &child);
    let output = CommandOutput::from(child.wait_with_output().unwrap());
    output.expect_message(3, "a signal came before the end: run the command again");
    let before = sandbox.lines_of("copy.jsonl");
    assert!(before < 101, "the replay ended before the signal");
    sandbox.run(args).expect(0);
    let copied = values(&sandbox.read("copy.jsonl"));
    let copied = ids(&copied);
    let distinct: BTreeSet<_> = copied.iter().collect();
    assert_eq!(distinct, ids(&values(DAY)).iter().collect());
    // The drain had time to acknowledge all that arrived.
    assert_eq!(copied.len(), 101);
}
