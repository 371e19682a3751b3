//! Configurations that cannot work: each its own message, exit code 2, and no value repeated.

use std::fs;

use crate::support::{LIFECYCLE, Place, line};

#[test]
fn wrong_settings_are_refused_by_name() {
    let place = Place::new();
    for (settings, message) in [
        (
            &["strategy=kafka"][..],
            "`strategy` (--set): unknown \"kafka\": expected noop, log, rabbit or qpid",
        ),
        (&["strategy=3"], "`strategy` (--set): unknown \"3\""),
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
            "`redact` (--set): unknown value \"none\", expected \"secrets\", \"strict\" or \"off\"",
        ),
        (
            &["disabled_notifications=image"],
            "`disabled_notifications` (--set): expected a list, found a string",
        ),
        (&["strategy"], "--set: expected KEY=VALUE"),
        (&["log..file=x"], "--set: `log..file` is not a key"),
        (&["publisher_id="], "`publisher_id` is empty"),
    ] {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        place.pipe(["emit"].into_iter().chain(settings), line("a")).says(2, message);
    }
}

#[test]
fn a_strategy_that_is_not_compiled_in_says_how_it_is() {
    let place = Place::new();
    let version = place.run(["--version"]).out;
    let strategies = ["noop", "log", "rabbit", "qpid"];
    let missing = strategies.iter().filter(|name| !version.contains(**name));
    for name in missing {
        let setting = format!("strategy={name}");
        place.run(["emit", "--set", &setting]).says(
            2,
            &format!(
                "strategy `{name}` is not compiled in: enable the Cargo feature `{name}` (compiled in: "
            ),
        );
    }
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("directory.toml")).unwrap();
    place.file("broken.toml", "strategy = log\n");
    place.file("unknown.toml", "[log]\nfile = \"x\"\n[kafka]\n");
    place.file("twice.toml", "strategy = \"log\"\nstrategy = \"noop\"\n");
    place.file("latin.toml", b"# \xe4");
    place.file("notify.yaml", "strategy: log");
    place.file("broken.conf", "[DEFAULT]\nnonsense\n");
    for (file, message) in [
        ("none.toml", "cannot read `none.toml`: No such file or directory"),
        ("directory.toml", "cannot read `directory.toml`: Is a directory"),
        ("broken.toml", "broken.toml, line 1, column 12: "),
        ("unknown.toml", "`kafka` (unknown.toml): unknown option, expected \"strategy\""),
        ("twice.toml", "twice.toml, line 2, column 1: duplicate key"),
        ("latin.toml", "cannot read `latin.toml`: stream did not contain valid UTF-8"),
        ("notify.yaml", "`notify.yaml`: unknown file type: expected a name that ends in .toml"),
        ("broken.conf", "broken.conf, line 2: expected `key = value`"),
    ] {
        for command in ["emit", "check"] {
            place.run([command, "-c", file]).says(2, message);
        }
    }
}

#[test]
fn variables_that_are_no_setting_are_refused() {
    let place = Place::new();
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
        let output = place.command(["emit"]).env(name, value).output().unwrap();
        crate::support::Ended::from(output).says(2, message);
    }
}

#[test]
fn inputs_that_cannot_be_read_are_refused() {
    let place = Place::new();
    fs::create_dir(place.path("directory")).unwrap();
    for command in ["emit", "validate"] {
        place.run([command, "none"]).says(2, "cannot read `none`: No such file or directory");
        place.run([command, "directory"]).says(2, "cannot read `directory`: is a directory");
        // Opens, and fails to be read, for everybody.
        place
            .run([command, "/proc/self/mem"])
            .says(2, "cannot read `/proc/self/mem`: Input/output error");
    }
}

#[test]
fn a_log_that_is_a_directory_is_a_permanent_error() {
    let place = Place::new();
    fs::create_dir(place.path("n.log")).unwrap();
    let input = place.file("in.jsonl", LIFECYCLE);
    place.run(crate::support::emit(&[input])).says(2, "gave up: `log.file`: ");
}

#[test]
fn wrong_usage_is_refused() {
    let place = Place::new();
    place.run(["emit", "--timeout", "0"]).says(2, "expected a number of seconds above 0");
    place.run(["emit", "--timeout", "soon"]).says(2, "expected a number of seconds above 0");
    place.run(["emit", "--summary", "xml"]).says(2, "[possible values: human, json]");
    place.run(["emit", "--priority", "LOUD"]).says(2, "invalid value 'LOUD'");
    place.run(["explode"]).says(2, "unrecognized subcommand 'explode'");
}
