//! Invalid configurations: each has a message of its own, and exit code 2.
//!
//! A message names the key and its origin, and never repeats the value, which may be a
//! secret in the wrong place.

use std::fs;

use crate::support::{LIFECYCLE, Sandbox, line};

/// A message names the key, its origin, and the values that would be valid.
///
/// Unknown keys are errors too: a misspelt key would silently keep its default.
#[test]
fn rejects_wrong_settings_by_name() {
    let sandbox = Sandbox::new();
    for (settings, message) in [
        (
            &["strategy=kafka"][..],
            "`strategy` (--set): unknown value, expected \"noop\", \"log\", \"rabbit\" or \"qpid\"",
        ),
        (&["strategy=3"], "`strategy` (--set): unknown value, expected"),
        (&["strateyg=log"], "`strateyg` (--set): unknown option, expected \"strategy\", "),
        (&["strategy=log", "log.fiel=x"], "`log.fiel` (--set): unknown option, expected \"file\""),
        (
            &["strategy=log", "log.file=x", "log.sync=maybe"],
            "`log.sync` (--set): expected true or false, found a string",
        ),
        (&["strategy=log"], "`log.file` is missing"),
        (
            &["queue.max_messages=many"],
            "`queue.max_messages` (--set): expected a whole number from 0 to ",
        ),
        (
            &["queue.drain_timeout=0"],
            "`queue.drain_timeout` (--set): expected a number of seconds above 0",
        ),
        (
            &["redact=none"],
            "`redact` (--set): unknown value, expected \"secrets\", \"strict\" or \"off\"",
        ),
        (
            &["disabled_notifications=image"],
            "`disabled_notifications` (--set): expected a list, found a string",
        ),
        (&["strategy"], "--set: expected KEY=VALUE"),
        (&["log..file=x"], "--set: `log..file` is not a key"),
        (&["strategy=noop", "publisher_id="], "`publisher_id` is empty"),
    ] {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        sandbox.pipe(["emit"].into_iter().chain(settings), line("a")).expect_message(2, message);
    }
}

/// A strategy that this build lacks is a different error from an unknown one.
///
/// The test covers the strategies that this build lacks, which may be none.
#[test]
fn a_missing_strategy_names_its_cargo_feature() {
    let sandbox = Sandbox::new();
    let version = sandbox.run(["--version"]).out;
    let strategies = ["noop", "log", "rabbit", "qpid"];
    let missing = strategies.iter().filter(|name| !version.contains(**name));
    for name in missing {
        let setting = format!("strategy={name}");
        sandbox.run(["emit", "--set", &setting]).expect_message(
            2,
            &format!(
                "strategy `{name}` is not compiled in: enable the Cargo feature `{name}` (compiled in: "
            ),
        );
    }
}

/// A message names the file, and for a syntax error also the line and the column.
#[test]
fn rejects_invalid_configuration_files() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("directory.toml")).unwrap();
    sandbox.file("broken.toml", "strategy = log\n");
    sandbox.file("unknown.toml", "[log]\nfile = \"x\"\n[kafka]\n");
    sandbox.file("twice.toml", "strategy = \"log\"\nstrategy = \"noop\"\n");
    sandbox.file("latin.toml", b"# \xe4");
    sandbox.file("notify.yaml", "strategy: log");
    sandbox.file("broken.conf", "[DEFAULT]\nnonsense\n");
    for (file, message) in [
        ("none.toml", "cannot read `none.toml`: No such file or directory"),
        (
            "directory.toml",
            "`directory.toml` is a directory without a file whose name ends in .conf",
        ),
        ("broken.toml", "broken.toml, line 1, column 12: "),
        ("unknown.toml", "`kafka` (unknown.toml): unknown option, expected \"strategy\""),
        ("twice.toml", "twice.toml, line 2, column 1: duplicate key"),
        ("latin.toml", "cannot read `latin.toml`: stream did not contain valid UTF-8"),
        ("notify.yaml", "`notify.yaml`: unknown file type: expected a name that ends in .toml"),
        ("broken.conf", "broken.conf, line 2: expected `key = value`"),
    ] {
        for command in ["emit", "check"] {
            sandbox.run([command, "-c", file]).expect_message(2, message);
        }
    }
}

/// A misspelt variable is an error and not ignored. The message names the variable.
#[test]
fn rejects_wrong_environment_variables() {
    let sandbox = Sandbox::new();
    for (name, value, message) in [
        (
            "GLANCE_NOTIFY__STRATEYG",
            "log",
            "`strateyg` (environment variable GLANCE_NOTIFY__STRATEYG): unknown option",
        ),
        ("GLANCE_NOTIFY__", "log", "environment variable GLANCE_NOTIFY__: `` is not a key"),
        (
            "GLANCE_NOTIFY__QUEUE__MAX_AGE",
            "1h",
            "`queue.max_age` (environment variable GLANCE_NOTIFY__QUEUE__MAX_AGE): expected a number of seconds above 0 and at most 31622400, found a string",
        ),
    ] {
        let output = sandbox.command(["emit"]).env(name, value).output().unwrap();
        crate::support::CommandOutput::from(output).expect_message(2, message);
    }
}

/// `emit` and `validate` report the input's name and the error of the system.
///
/// `/proc/self/mem` opens without an error and fails at the first read.
#[test]
fn rejects_unreadable_inputs() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("directory")).unwrap();
    for command in [&["emit", "--set", "strategy=noop"][..], &["validate"]] {
        let run = |file| sandbox.run([command, &[file]].concat());
        run("none").expect_message(2, "cannot read `none`: No such file or directory");
        run("directory").expect_message(2, "cannot read `directory`: is a directory");
        // Every user can open this file, but reading it at offset 0 fails.
        run("/proc/self/mem").expect_message(2, "cannot read `/proc/self/mem`: Input/output error");
    }
}

/// Retrying cannot turn a directory into a file, so `emit` stops at once.
#[test]
fn a_log_that_is_a_directory_is_a_permanent_error() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("n.log")).unwrap();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    sandbox
        .run(crate::support::emit(&[input]))
        .expect_message(2, "gave up after a permanent error: `log.file`: ");
}

/// clap's usage errors exit with 2, and list the possible values.
///
/// The tests of each subcommand cover the options of that subcommand.
#[test]
fn rejects_wrong_usage() {
    let sandbox = Sandbox::new();
    sandbox
        .run(["emit", "--timeout", "0"])
        .expect_message(2, "expected a number of seconds above 0");
    sandbox
        .run(["emit", "--timeout", "soon"])
        .expect_message(2, "expected a number of seconds above 0");
    sandbox.run(["emit", "-o", "xml"]).expect_message(2, "[possible values: text, json]");
    sandbox.run(["emit", "--priority", "LOUD"]).expect_message(2, "invalid value 'LOUD'");
    sandbox.run(["explode"]).expect_message(2, "unrecognized subcommand 'explode'");
}
