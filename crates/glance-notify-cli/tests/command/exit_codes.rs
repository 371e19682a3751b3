//! The table of exit codes: situations that `mistakes` does not cover.
//!
//! The sentences are in `snapshots/`. Review them with `cargo insta review` after a change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::mistakes::{MistakeSandbox, Transcript, arguments, run};
use crate::support::{CommandOutput, Sandbox, UnprivilegedUser};

/// A question without an answer: 1.
#[test]
fn a_question_that_finds_nothing_exits_with_1() {
    let sandbox = MistakeSandbox::new().copy();
    let mut transcript = Transcript::default();
    for line in [
        "timeline no-such-image --from day.jsonl",
        "search --image no-such-image --from day.jsonl",
        "who no-such-image --from day.jsonl",
    ] {
        transcript.add(&sandbox, "", line, 1, &run(&sandbox, line));
    }
    insta::assert_snapshot!(transcript.text());
}

/// Input that is no notification: 4.
#[test]
fn invalid_input_exits_with_4() {
    let prepared = MistakeSandbox::new();
    // Otherwise the message in the spool may be forwarded in time, or not.
    run(prepared.sandbox(), "spool drop --all").expect(0);
    prepared.sandbox().file("in.jsonl", "nonsense\n");
    let mut transcript = Transcript::default();
    for line in [
        "emit in.jsonl",
        "emit --skip-invalid in.jsonl",
        "validate in.jsonl",
        "archive baseline --archive audit in.jsonl",
        "report storage --from day.jsonl --baseline in.jsonl",
    ] {
        let sandbox = prepared.copy();
        transcript.add(&sandbox, "", line, 4, &run(&sandbox, line));
    }
    insta::assert_snapshot!(transcript.text());
}

/// A full disk: 3, because the command succeeds once you have made room.
#[test]
fn a_full_disk_exits_with_3() {
    let sandbox = MistakeSandbox::new().copy();
    let mut transcript = Transcript::default();
    for line in [
        "schema",
        "check",
        "config init -",
        "config explain",
        "spool ls",
        "spool show 0/0",
        "spool stats",
        "spool export",
        "archive export --archive audit",
        "archive verify --archive audit",
        "demo",
        "timeline debian-12 --from day.jsonl",
        "search --from day.jsonl",
        "who debian-12 --from day.jsonl",
        "report stuck --from day.jsonl",
        "completions bash",
        "man",
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = sandbox.command(arguments(line));
        let output = CommandOutput::from(command.stdout(Stdio::from(full)).output().unwrap());
        transcript.add(&sandbox, "", line, 3, &output);
    }
    insta::assert_snapshot!(transcript.text());
}

/// D9: the same mistake gives the same code, whatever the subcommand: a directory of the spool that cannot
/// exist is bad for `check` too, and a strategy that sends nothing is refused in front of a spool.
#[test]
fn d9_the_same_mistake_gives_the_same_code() {
    let sandbox = MistakeSandbox::new().copy();
    sandbox.file("a-file", "");
    for command in ["check", "spool ls", "spool stats", "spool drain", "spool export"] {
        let output = run(&sandbox, &format!("{command} --set spool.dir=a-file/spool"));
        assert_eq!(output.code, Some(2), "{command}: {}\n{}", output.out, output.err);
    }
    for command in ["emit in.jsonl", "check", "spool drain"] {
        let output = run(&sandbox, &format!("{command} --set strategy=noop"));
        assert_eq!(output.code, Some(2), "{command}: {}\n{}", output.out, output.err);
    }
}

/// D9: `emit` and `check` agree about a destination that denies access or does not exist, with a spool in
/// front of it and without.
#[test]
fn d9_a_denied_destination_gives_the_same_code() {
    let prepared = MistakeSandbox::new();
    let user = UnprivilegedUser::new();
    let log = "--set strategy=log --set log.file";
    for destination in [
        format!("{log}=locked/n.log"),
        format!("{log}=missing/n.log"),
        format!("{log}=n.log --set spool.dir=locked/spool"),
        format!("{log}=n.log --set spool.dir=missing/spool"),
        format!("{log}=locked/n.log --set spool.dir=s"),
    ] {
        for command in ["emit day.jsonl", "check"] {
            let sandbox = prepared.copy();
            let locked = sandbox.path("locked");
            fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
            let line = format!("{command} {destination}");
            let output = user.run(&sandbox, line.split(' '));
            assert_eq!(output.code, Some(2), "{line}: {}\n{}", output.out, output.err);
        }
    }
}

/// D9: after an error, `check` still shows the values that have nothing to do with it, and the publisher id
/// that is in force without being set.
#[test]
fn d9_check_hides_only_a_possible_secret() {
    let sandbox = Sandbox::new();
    let args =
        ["check", "--set", "strategy=log", "--set", "log.file=n", "--set", "log.sync=hunter2"];
    let output = sandbox.run([&args[..], &["--set", "queue.max_messages=77"]].concat()).expect(2);
    for shown in ["queue.max_messages = 77", "strategy = \"log\"", "log.file = …", "log.sync = …"]
    {
        assert!(output.out.contains(shown), "{shown}: {}", output.out);
    }
    assert!(!output.out.contains("hunter2") && !output.err.contains("hunter2"));
    let output = sandbox.run(["check", "--set", "strategy=noop", "-o", "json"]).expect(0).out;
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    let settings = report["settings"].as_array().unwrap();
    let publisher = settings.iter().find(|setting| setting["key"] == "publisher_id").unwrap();
    assert_eq!(publisher["origin"], "default, the name of this host");
    assert!(publisher["value"].as_str().unwrap().len() > 2, "{publisher}");
}
