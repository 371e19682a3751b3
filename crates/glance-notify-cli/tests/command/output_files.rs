//! The files that `emit` writes, its settings and its counters: what the first edition lost or hid.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{CommandOutput, LIFECYCLE, SPOOL, Sandbox, emit, line, spooled, values};

/// D1: `--failed` and `--acks` keep what earlier runs wrote, and never continue a line that was cut.
#[test]
fn d1_failed_and_acks_append() {
    let sandbox = Sandbox::new();
    let unreachable = ["emit", "--set", "strategy=log", "--set", "log.file=missing/n.log"];
    let failed = [&unreachable[..], &["--failed", "failed"]].concat();
    sandbox.pipe(&failed, line("first")).expect(2);
    sandbox.pipe(&failed, line("second")).expect(2);
    let payloads = |name: &str| {
        let lines = sandbox.lines(name);
        lines.iter().map(|line| line["payload"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(payloads("failed"), ["first", "second"]);

    sandbox.pipe(emit(&["--acks", "acks"]), line("a")).expect(0);
    // A process that was killed leaves half a line.
    let acks = sandbox.read("acks") + "7f28f81b-29a2";
    sandbox.file("acks", &acks);
    sandbox.pipe(emit(&["--acks", "acks"]), line("b")).expect(0);
    let after = sandbox.read("acks");
    assert!(after.starts_with(&format!("{acks}\n")), "{after}");
    assert_eq!(after.lines().count(), 3);
}

/// D2: `--rejected` keeps invalid lines byte for byte, continues after them, and is private.
#[test]
fn d2_rejected_keeps_invalid_lines() {
    let sandbox = Sandbox::new();
    let wrong: [&[u8]; 3] =
        [b"nonsense", b"\xff\xfe binary \0", b"{\"event_type\":\"image.create\"}"];
    let mut input = line("a").into_bytes();
    for wrong in wrong {
        input.extend_from_slice(wrong);
        input.push(b'\n');
    }
    input.extend_from_slice(line("b").as_bytes());
    let args = emit(&["--rejected", "rejected", "--failed", "failed"]);
    sandbox.pipe(&args, &input).expect_message(4, "5 read, 2 delivered by `log`, 3 invalid");
    let expected = [wrong.join(&b'\n'), b"\n".to_vec()].concat();
    assert_eq!(fs::read(sandbox.path("rejected")).unwrap(), expected);
    let mode = fs::metadata(sandbox.path("rejected")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(sandbox.read("failed"), "");
    // A second run appends.
    sandbox.pipe(&args, "again\n").expect(4);
    let rejected = fs::read(sandbox.path("rejected")).unwrap();
    assert!(rejected.ends_with(b"}\nagain\n"));
    // A line beyond the limit is cut, and the message says so.
    let long = "x".repeat(1024 * 1024 + 5) + "\n";
    sandbox.pipe(&args, long).expect_message(4, "`--rejected` has its first 1048576 bytes");
    let both = emit(&["--rejected", "failed", "--failed", "failed"]);
    sandbox.pipe(&both, "x\n").expect_message(2, "`--failed` and `--rejected` name the same file");
    // Neither path exists before.
    let both = emit(&["--acks", "new", "--failed", "./new"]);
    sandbox.pipe(&both, "x\n").expect_message(2, "`--acks` and `--failed` name the same file");
}

/// A destination or an output that is the input would make `emit` read its own lines without end, whatever the
/// path that names it.
#[test]
fn the_input_is_no_output() {
    let sandbox = Sandbox::new();
    sandbox.file("n.log", LIFECYCLE);
    std::os::unix::fs::symlink("n.log", sandbox.path("link.log")).unwrap();
    let message = "`log.file` is the input file: name another";
    sandbox.run(emit(&["n.log"])).expect_message(2, message);
    sandbox.run(emit(&["link.log"])).expect_message(2, message);
    let redirected = |args: &[&str]| -> CommandOutput {
        let input = File::open(sandbox.path("n.log")).unwrap();
        sandbox.command(args).stdin(input).output().unwrap().into()
    };
    redirected(&emit(&[])).expect_message(2, message);
    let destinations = "[[destination]]\nname = 'a'\nstrategy = 'noop'\n\
                        [[destination]]\nname = 'b'\nstrategy = 'log'\nlog.file = 'n.log'\n";
    sandbox.file("two.toml", destinations);
    let message = "`destination[1].log.file` is the input file: name another";
    redirected(&["emit", "-c", "two.toml"]).expect_message(2, message);
    for option in ["--acks", "--failed", "--rejected"] {
        let args = ["emit", "--set", "strategy=noop", option, "link.log"];
        redirected(&args).expect_message(2, "`link.log` is the input file, which must not be");
    }
    assert_eq!(sandbox.read("n.log"), LIFECYCLE);
    // Neither another target nor `--event` writes to the input or reads it.
    redirected(&emit(&["--set", "log.target=tracing"])).expect(0);
    redirected(&emit(&["--event", "image.create", "--payload", "1"])).expect(0);
}

/// A standard stream that a shell leads to the input is no output either.
#[test]
fn the_input_is_not_behind_a_standard_stream() {
    let sandbox = Sandbox::new();
    sandbox.file("n.log", LIFECYCLE);
    let append = || File::options().append(true).open(sandbox.path("n.log")).unwrap();
    let to_stdout = |args: &[&str]| -> CommandOutput {
        sandbox.command(args).stdout(append()).output().unwrap().into()
    };
    let message = "`log.target` writes to standard output, which is the input file: redirect it";
    to_stdout(&emit(&["n.log", "--set", "log.target=stdout"])).expect_message(2, message);
    let acks = ["emit", "n.log", "--set", "strategy=noop", "--acks", "-"];
    to_stdout(&acks).expect_message(2, "`standard output` is the input file, which must not be");
    let listen = ["listen", "--from", "n.log", "--exit-at-end"];
    to_stdout(&listen).expect_message(2, "standard output is the input file: redirect it");
    assert_eq!(sandbox.read("n.log"), LIFECYCLE);
    // The message itself is all that follows the input.
    let mut command = sandbox.command(emit(&["n.log", "--set", "log.target=tracing"]));
    CommandOutput::from(command.stderr(append()).output().unwrap()).expect(2);
    let log = sandbox.read("n.log");
    let added = log.strip_prefix(LIFECYCLE).unwrap();
    assert!(added.contains("`log.target` writes to standard error, which is the"), "{added}");
    assert_eq!(added.lines().count(), 1);
}

/// D6: only ids, `--dead` or `--all` choose the messages that `spool drop` removes. Anything else is wrong
/// usage, and not a success that does nothing.
#[test]
fn d6_drop_without_a_choice_is_wrong_usage() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), line("a")).expect(0);
    for command in ["drop", "retry"] {
        for no_choice in
            [&["--slot", "0"][..], &["-o", "json"], &["--slot", "0", "-o", "json"], &[]]
        {
            let output = sandbox.run([&["spool", command], no_choice, &SPOOL].concat());
            output.expect_message(2, "required arguments were not provided");
        }
    }
    let listed = sandbox.run([&["spool", "ls", "-o", "json"][..], &SPOOL].concat()).expect(0);
    assert_eq!(values(&listed.out)[0]["pending"]["messages"], 1);
}

/// D7: without a strategy nothing is "delivered".
#[test]
fn d7_a_strategy_is_required() {
    let sandbox = Sandbox::new();
    sandbox.file("notify.toml", "publisher_id = \"x\"\n");
    for args in [&["emit"][..], &["emit", "-c", "notify.toml"], &["check"]] {
        sandbox
            .pipe(args, LIFECYCLE)
            .expect_message(2, "no strategy is configured: name a file with `-c FILE`, or set");
    }
    sandbox.pipe(["emit", "--set", "strategy=noop"], LIFECYCLE).expect_message(0, "11 suppressed");
}

/// D7: a variable with one underscore after the prefix looks like a setting, and the command says that it is
/// none.
#[test]
fn d7_unknown_variables_of_the_prefix_are_warned_about() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["check"]);
    command.env("GLANCE_NOTIFY_STRATEGY", "log").env("GLANCE_NOTIFY__LOG__FILE", "n.log");
    CommandOutput::from(command.output().unwrap())
        .expect_message(2, "variable GLANCE_NOTIFY_STRATEGY is ignored")
        .expect_message(2, "as in GLANCE_NOTIFY__STRATEGY")
        .expect_message(2, "no strategy is configured");
}

/// D7: a setting of another strategy has no effect, so the command refuses it, misspelt or not.
#[test]
fn d7_settings_of_another_strategy_are_refused() {
    let sandbox = Sandbox::new();
    for key in ["log.fle", "log.file"] {
        let set = format!("{key}=x");
        sandbox.run(["check", "--set", "strategy=noop", "--set", &set]).expect_message(
            2,
            &format!("--set: `{key}` has no effect because the strategy is `noop`"),
        );
    }
}

/// D8: the JSON summary has every counter of `Stats`, by reason.
#[test]
fn d8_the_json_summary_has_every_counter() {
    let sandbox = Sandbox::new();
    let args = emit(&["-o", "json", "--set", "disabled_notifications=[\"task\"]"]);
    let output = sandbox.pipe(args, LIFECYCLE).expect(0).out;
    let summary: Value = serde_json::from_str(&output).unwrap();
    let destination = summary["destinations"][0].as_object().unwrap();
    let keys: Vec<_> = destination.keys().map(String::as_str).collect();
    let stats = serde_json::to_value(glance_notify::pipeline::Stats::default()).unwrap();
    let mut expected: Vec<_> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    expected.push("strategy");
    expected.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!((&destination["suppressed"], &destination["delivered"]), (&4.into(), &7.into()));
    for reason in ["overflow", "age", "closed", "abandoned"] {
        assert_eq!(destination["dropped"][reason], 0, "{reason}");
    }
}

/// D11: `validate` warns of a line that `schema` refuses, and `--strict` refuses it.
#[test]
fn d11_validate_warns_about_values_that_the_schema_refuses() {
    let sandbox = Sandbox::new();
    let misspelt = sandbox.run(["schema", "--example", "image.send"]).out;
    let misspelt = misspelt.replace("\"owner_id\"", "\"ownerid\"");
    assert!(misspelt.contains("\"ownerid\""), "{misspelt}");
    let output = sandbox.pipe(["validate"], &misspelt).expect(0);
    assert!(output.out.contains("warning: /payload/owner_id"), "{}", output.out);
    sandbox.pipe(["validate", "--strict"], &misspelt).expect(4);
}

/// D12: a release build is stripped of debug information. Names of functions stay, for backtraces.
#[test]
fn d12_release_builds_are_stripped() {
    let workspace = include_str!("../../../../Cargo.toml");
    let (_, release) = workspace.split_once("[profile.release]").unwrap();
    let release = release.split("\n[").next().unwrap();
    assert!(release.lines().any(|line| line == "strip = \"debuginfo\""), "{release}");
}

/// `man` writes one page a subcommand, with the exit codes and the examples of its help.
#[test]
fn man_writes_one_page_for_each_subcommand() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("man1")).unwrap();
    sandbox.run(["man", "man1"]).expect_message(0, "wrote ");
    for (page, text) in [
        ("glance-notify", "Exit codes"),
        ("glance-notify-emit", "glance\\-notify emit \\-c"),
        ("glance-notify-spool", "glance\\-notify\\-spool\\-ls(1)"),
        ("glance-notify-spool-ls", "\\-\\-messages"),
        ("glance-notify-man", "Examples"),
    ] {
        let content = sandbox.read(&format!("man1/{page}.1"));
        assert!(content.contains(&format!(".TH {page} 1")), "{page}: {content}");
        assert!(content.contains(text), "{page}: {content}");
    }
    let printed = sandbox.run(["man"]).expect(0).out;
    assert_eq!(printed, sandbox.read("man1/glance-notify.1"));
}
