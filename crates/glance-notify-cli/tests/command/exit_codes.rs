//! The table of exit codes: every subcommand and every class of mistake gives the code of the table and one
//! sentence that says what to do.
//!
//! The sentences are in `snapshots/`. Review them with `cargo insta review` after a change.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::support::{CommandOutput, LIFECYCLE, Sandbox, broken_pipe, line, spooled};

/// A configuration that delivers to the file `n.log`.
const LOG_CONFIG: &str =
    "strategy = \"log\"\nlog.file = \"n.log\"\nlog.sync = false\nspool.dir = \"spool\"\n";

/// The subcommands that read the configuration.
const CONFIGURED: &[&str] = &[
    "emit in.jsonl",
    "check",
    "spool ls",
    "spool show 0/0",
    "spool stats",
    "spool retry --all",
    "spool drop --all",
    "spool export",
    "spool drain",
];

/// Every subcommand, as it works.
const ALL: &[&str] = &[
    "emit in.jsonl",
    "validate in.jsonl",
    "schema",
    "check",
    "spool ls",
    "spool show 0/0",
    "spool stats",
    "spool retry --all",
    "spool drop --all",
    "spool export",
    "spool drain",
    "demo",
    "timeline debian-12 --from day.jsonl",
    "search --from day.jsonl",
    "who debian-12 --from day.jsonl",
    "report stuck --from day.jsonl",
    "report transfers --from day.jsonl",
    "report storage --from day.jsonl",
    "report failures --from day.jsonl",
    "report deletions --from day.jsonl",
    "report activity --from day.jsonl",
    "completions bash",
    "man",
];

/// The subcommands that ask questions to a file.
fn questions() -> Vec<&'static str> {
    ALL.iter().filter(|command| command.contains("--from")).copied().collect()
}

/// A directory with a configuration, a spool with one message, and input.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("notify.toml", LOG_CONFIG);
    sandbox.file("in.jsonl", LIFECYCLE);
    sandbox.file("day.jsonl", include_str!("../../../../docs/samples/cloud-day.jsonl"));
    fill_spool(&sandbox);
    sandbox
}

/// Puts one message into the spool, in front of a broker that is unreachable.
fn fill_spool(sandbox: &Sandbox) {
    sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
}

/// Runs a command line with the configuration.
fn run(sandbox: &Sandbox, command: &str) -> CommandOutput {
    sandbox.run(command.split(' ').chain(["-c", "notify.toml"]))
}

/// Adds one case to the transcript: the command, its code, and its messages without what differs between
/// machines.
fn record(transcript: &mut String, sandbox: &Sandbox, command: &str, output: &CommandOutput) {
    let dir = sandbox.dir.path().display().to_string();
    let code = output.code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
    let messages = output.err.replace(&dir, "DIR");
    // `check` reports its findings on standard output.
    let findings = output.out.replace(&dir, "DIR");
    let findings = findings.lines().filter(|line| line.starts_with("bad "));
    let messages = messages.lines().filter(|line| !line.is_empty());
    let messages: Vec<_> = findings.chain(messages).collect();
    writeln!(transcript, "$ glance-notify {command}\nexit code {code}").unwrap();
    for message in messages {
        writeln!(transcript, "{message}").unwrap();
    }
    transcript.push('\n');
    assert!(!output.err.contains("panicked"), "{command}: {}", output.err);
}

/// Runs each command in a sandbox that `prepare` has spoiled, expects one code, and returns the transcript.
#[track_caller]
fn transcript(commands: &[&str], code: i32, prepare: impl Fn(&Sandbox)) -> String {
    let mut text = String::new();
    for command in commands {
        let sandbox = sandbox();
        prepare(&sandbox);
        let output = run(&sandbox, command);
        record(&mut text, &sandbox, command, &output);
        assert_eq!(output.code, Some(code), "{command}: {}", output.err);
    }
    text
}

/// An option that does not exist is wrong usage: 2.
#[test]
fn an_unknown_option_exits_with_2() {
    let mut text = String::new();
    for command in ALL {
        let sandbox = sandbox();
        let output = run(&sandbox, &format!("{command} --colour"));
        assert_eq!(output.code, Some(2), "{command}: {}", output.err);
        let first = output.err.lines().next().unwrap().to_owned();
        assert!(first.contains("--colour"), "{command}: {}", output.err);
        writeln!(text, "{command}: {first}").unwrap();
    }
    insta::assert_snapshot!(text);
}

/// An unknown key of the configuration needs a change: 2.
#[test]
fn an_unknown_key_exits_with_2() {
    insta::assert_snapshot!(transcript(CONFIGURED, 2, |sandbox| {
        sandbox.file("notify.toml", format!("{LOG_CONFIG}spool.sise = 1\n"));
    }));
}

/// A value of the wrong type needs a change: 2.
#[test]
fn a_value_of_the_wrong_type_exits_with_2() {
    insta::assert_snapshot!(transcript(CONFIGURED, 2, |sandbox| {
        sandbox.file("notify.toml", LOG_CONFIG.replace("\"spool\"", "7"));
    }));
}

/// A missing file or directory needs a change: 2.
#[test]
fn a_missing_file_exits_with_2() {
    let spool: Vec<_> =
        CONFIGURED.iter().filter(|command| command.starts_with("spool")).copied().collect();
    let mut text = transcript(&spool, 2, |sandbox| {
        fs::remove_dir_all(sandbox.path("spool")).unwrap();
    });
    text += &transcript(&["emit in.jsonl", "validate in.jsonl"], 2, |sandbox| {
        fs::remove_file(sandbox.path("in.jsonl")).unwrap();
    });
    text += &transcript(CONFIGURED, 2, |sandbox| {
        fs::remove_file(sandbox.path("notify.toml")).unwrap();
    });
    text += &transcript(&questions(), 2, |sandbox| {
        fs::remove_file(sandbox.path("day.jsonl")).unwrap();
    });
    text += &transcript(&["man missing", "emit in.jsonl --acks missing/acks"], 2, |_| {});
    insta::assert_snapshot!(text);
}

/// A directory in place of a file, and a file in place of a directory, need a change: 2.
#[test]
fn a_file_of_the_wrong_type_exits_with_2() {
    let mut text = transcript(&["emit in.jsonl", "validate in.jsonl"], 2, |sandbox| {
        fs::remove_file(sandbox.path("in.jsonl")).unwrap();
        fs::create_dir(sandbox.path("in.jsonl")).unwrap();
    });
    let spool: Vec<_> =
        CONFIGURED.iter().filter(|command| !command.starts_with("emit")).copied().collect();
    text += &transcript(&spool, 2, |sandbox| {
        fs::remove_dir_all(sandbox.path("spool")).unwrap();
        sandbox.file("spool", "");
    });
    text += &transcript(&questions(), 2, |sandbox| {
        fs::remove_file(sandbox.path("day.jsonl")).unwrap();
        fs::create_dir(sandbox.path("day.jsonl")).unwrap();
    });
    text += &transcript(&["man in.jsonl", "emit in.jsonl --failed ."], 2, |_| {});
    insta::assert_snapshot!(text);
}

/// A file without permission needs a change: 2.
///
/// Root may read everything, so a test as root cannot see this and uses a user of its own.
#[test]
fn a_missing_permission_exits_with_2() {
    let mut text = String::new();
    for (command, file) in [
        ("emit in.jsonl", "in.jsonl"),
        ("validate in.jsonl", "in.jsonl"),
        ("emit in.jsonl", "notify.toml"),
        ("check", "notify.toml"),
        ("spool ls", "spool"),
        ("spool drain", "spool"),
        ("emit in.jsonl --acks locked/acks", "locked"),
        ("emit in.jsonl --failed locked/failed", "locked"),
        ("emit in.jsonl --rejected locked/rejected", "locked"),
        ("spool export locked/x", "locked"),
        ("man locked", "locked"),
        ("timeline debian-12 --from day.jsonl", "day.jsonl"),
        ("search --from day.jsonl", "day.jsonl"),
        ("who debian-12 --from day.jsonl", "day.jsonl"),
        ("report stuck --from day.jsonl", "day.jsonl"),
    ] {
        let sandbox = sandbox();
        fs::create_dir(sandbox.path("locked")).unwrap();
        fs::set_permissions(sandbox.path(file), fs::Permissions::from_mode(0o000)).unwrap();
        let output = sandbox.run_as_user(command.split(' ').chain(["-c", "notify.toml"]));
        record(&mut text, &sandbox, command, &output);
        fs::set_permissions(sandbox.path(file), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(output.code, Some(2), "{command}: {}", output.err);
    }
    insta::assert_snapshot!(text);
}

/// A closed pipe behind a command that prints is no failure: 0, and 4 where the input is invalid.
#[test]
fn a_closed_pipe_exits_with_0() {
    for command in ALL {
        for output in ["", " -o json"] {
            let sandbox = sandbox();
            let line = format!("{command}{output}");
            let mut child = sandbox.command(line.split(' ').chain(["-c", "notify.toml"]));
            let result = child.stdout(broken_pipe()).output().unwrap();
            let err = String::from_utf8_lossy(&result.stderr).into_owned();
            if err.contains("unexpected argument '-o'") {
                continue;
            }
            assert_eq!(result.status.code(), Some(0), "{line}: {err}");
            assert!(!err.contains("panicked") && !err.contains("Broken pipe"), "{line}: {err}");
        }
    }
}

/// Nothing to do is no failure: 0.
#[test]
fn nothing_to_do_exits_with_0() {
    let commands = [
        "emit in.jsonl",
        "validate in.jsonl",
        "spool ls",
        "spool ls --messages",
        "spool stats",
        "spool retry --all",
        "spool drop --all",
        "spool export",
        "spool drain",
    ];
    insta::assert_snapshot!(transcript(&commands, 0, |sandbox| {
        sandbox.file("in.jsonl", "");
        sandbox.run(["spool", "drop", "--all", "-c", "notify.toml"]).expect(0);
    }));
}

/// A question without an answer: 1.
#[test]
fn a_question_that_finds_nothing_exits_with_1() {
    let commands = [
        "timeline no-such-image --from day.jsonl",
        "search --image no-such-image --from day.jsonl",
        "who no-such-image --from day.jsonl",
    ];
    insta::assert_snapshot!(transcript(&commands, 1, |_| {}));
}

/// A reference to a message that does not exist needs a change: 2.
#[test]
fn a_missing_message_exits_with_2() {
    let commands =
        ["spool show 0/99", "spool retry 0/99", "spool drop 0/99", "spool export --slot 9"];
    insta::assert_snapshot!(transcript(&commands, 2, |_| {}));
}

/// Input that is no notification: 4.
#[test]
fn invalid_input_exits_with_4() {
    let commands = ["emit in.jsonl", "emit --skip-invalid in.jsonl", "validate in.jsonl"];
    insta::assert_snapshot!(transcript(&commands, 4, |sandbox| {
        sandbox.file("in.jsonl", "nonsense\n");
        // Otherwise the message in the spool may be forwarded in time, or not.
        sandbox.run(["spool", "drop", "--all", "-c", "notify.toml"]).expect(0);
    }));
}

/// A full disk: 3, because the command succeeds once you have made room.
#[test]
fn a_full_disk_exits_with_3() {
    let mut text = String::new();
    for command in ["schema", "check", "spool ls", "spool stats", "completions bash", "man"] {
        let sandbox = sandbox();
        let mut child = sandbox.command(command.split(' ').chain(["-c", "notify.toml"]));
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = CommandOutput::from(child.stdout(Stdio::from(full)).output().unwrap());
        record(&mut text, &sandbox, command, &output);
        assert_eq!(output.code, Some(3), "{command}: {}", output.err);
    }
    insta::assert_snapshot!(text);
}

/// D9: the same mistake gives the same code, whatever the subcommand: a directory of the spool that cannot
/// exist is bad for `check` too, and a strategy that sends nothing is refused in front of a spool.
#[test]
fn d9_the_same_mistake_gives_the_same_code() {
    let sandbox = sandbox();
    sandbox.file("a-file", "");
    for command in ["check", "spool ls", "spool stats", "spool drain", "spool export"] {
        let args = ["-c", "notify.toml", "--set", "spool.dir=a-file/spool"];
        let output = sandbox.run(command.split(' ').chain(args));
        assert_eq!(output.code, Some(2), "{command}: {}\n{}", output.out, output.err);
    }
    let noop = ["-c", "notify.toml", "--set", "strategy=noop"];
    for command in ["emit in.jsonl", "check", "spool drain"] {
        let output = sandbox.run(command.split(' ').chain(noop));
        assert_eq!(output.code, Some(2), "{command}: {}\n{}", output.out, output.err);
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
