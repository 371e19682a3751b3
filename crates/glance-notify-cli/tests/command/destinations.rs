//! Several destinations: the summary, the exit status, and spools that share a directory.

use std::fs;
use std::io::Write;

use serde_json::Value;

use crate::support::{
    CommandOutput, LIFECYCLE, Sandbox, broken_pipe, line, spawn_piped, values, wait_until,
};

/// An audit file that gets everything, and an optional one for failed tasks.
const TWO: &str = r#"
[[destination]]
name = "audit"
strategy = "log"
log.file = "audit.log"

[[destination]]
name = "tasks"
strategy = "log"
required = false
events = ["task.*"]
log.file = "tasks.log"
"#;

/// Each destination gets what it takes, and has a line of the summary.
#[test]
fn emit_reports_each_destination() {
    let sandbox = Sandbox::new();
    sandbox.file("two.toml", TWO);
    let output = sandbox.pipe(["emit", "-c", "two.toml"], LIFECYCLE).expect(0);
    assert_eq!(
        output.err,
        "glance-notify: 11 read\n\
         glance-notify: audit: 11 delivered by `log`\n\
         glance-notify: tasks (optional): 4 delivered by `log`, 7 suppressed\n"
    );
    let (audit, tasks) = (sandbox.read("audit.log"), sandbox.read("tasks.log"));
    let of_tasks: Vec<_> =
        audit.lines().filter(|it| it.contains("\"event_type\":\"task.")).collect();
    assert_eq!(tasks.lines().collect::<Vec<_>>(), of_tasks);

    let output = sandbox.pipe(["emit", "-c", "two.toml", "-o", "json"], line("x")).expect(0);
    let report: Value = serde_json::from_str(&output.out).unwrap();
    let destinations = report["destinations"].as_array().unwrap();
    assert_eq!(
        (&destinations[0]["name"], &destinations[0]["required"]),
        (&"audit".into(), &true.into())
    );
    assert_eq!(
        (&destinations[1]["delivered"], &destinations[1]["suppressed"]),
        (&0.into(), &1.into())
    );
}

/// An optional destination that fails leaves the exit status alone; a required one decides.
#[test]
fn a_required_destination_decides_about_the_exit_status() {
    let sandbox = Sandbox::new();
    let broken = TWO.replace("tasks.log", "missing/tasks.log");
    sandbox.file("optional.toml", &broken);
    sandbox.file("required.toml", broken.replace("required = false", "required = true"));
    let short = ["--set", "queue.drain_timeout=0.2"];
    let args = |file| [&["emit", "-c", file][..], &short].concat();
    let output = sandbox.pipe(args("optional.toml"), LIFECYCLE).expect(0);
    assert!(
        output.err.contains("tasks (optional): 0 delivered by `log`, 4 dropped"),
        "{}",
        output.err
    );
    let output = sandbox.pipe(args("required.toml"), LIFECYCLE).expect(2);
    assert!(output.err.contains("missing/tasks.log"), "{}", output.err);
}

/// A closed pipe behind an optional destination stops no other; one behind a required destination ends the
/// command.
#[test]
fn a_closed_pipe_behind_an_optional_destination_stops_no_other() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("life.jsonl", LIFECYCLE);
    let optional = TWO.replace("log.file = \"tasks.log\"", "log.target = \"stdout\"");
    let required = optional.replace("required = false", "required = true");
    for (config, code, message) in
        [(optional, 0, "audit: 11 delivered by `log`"), (required, 3, "standard output is closed")]
    {
        sandbox.file("two.toml", config);
        let args = ["emit", "-c", "two.toml", "--set", "queue.drain_timeout=0.2", input];
        let output = sandbox.command(args).stdout(broken_pipe()).output().unwrap();
        CommandOutput::from(output).expect_message(code, message);
    }
}

/// `check` examines each destination under its name. As for `emit`, an optional one does not decide.
#[test]
fn check_examines_each_destination() {
    let sandbox = Sandbox::new();
    let broken = TWO.replace("tasks.log", "missing/tasks.log");
    for (config, code) in
        [(broken.clone(), 0), (broken.replace("required = false", "required = true"), 2)]
    {
        sandbox.file("two.toml", config);
        let output = sandbox.run(["check", "-c", "two.toml"]).expect(code);
        assert!(output.out.contains("good     audit: file: "), "{}", output.out);
        assert!(output.out.contains("bad      tasks: file: "), "{}", output.out);
        assert!(output.out.contains("destination[1].events = [\"task.*\"]"), "{}", output.out);
    }
}

/// A setting of this run that no destination takes, because each has its own, is refused as `--set`. A variable is
/// for other runs too: it is a warning.
#[test]
fn a_setting_that_every_destination_overrides_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("two.toml", TWO);
    let overrides = "has no effect because every destination overrides it";
    for (set, key) in [("log.file=other.log", "log.file"), ("log={ file = \"x\" }", "log")] {
        let output = sandbox.pipe(["emit", "-c", "two.toml", "--set", set], LIFECYCLE);
        output.expect_message(2, &format!("--set: `{key}` {overrides}: remove it, or change"));
    }
    assert!(!sandbox.path("audit.log").exists());
    sandbox.pipe(["emit", "-c", "two.toml", "--set", "log.sync=false"], LIFECYCLE).expect(0);
    let mut command = sandbox.command(["check", "-c", "two.toml"]);
    let output = command.env("GLANCE_NOTIFY__LOG__FILE", "other.log").output().unwrap();
    let warning = format!("`log.file` (environment variable GLANCE_NOTIFY__LOG__FILE) {overrides}");
    CommandOutput::from(output).expect_message(0, &warning);
}

/// Returns a configuration with the spool `spool` and a log file in a directory of its own, for a named
/// destination or for the flat form.
fn spooled_log(name: &str) -> String {
    let keys = format!("strategy = 'log'\nlog.file = '{name}/n.log'\nlog.sync = false\n");
    match name {
        "flat" => format!("{keys}[spool]\ndir = 'spool'\n"),
        _ => format!("spool.dir = 'spool'\n[[destination]]\nname = '{name}'\n{keys}"),
    }
}

/// Runs `emit` until it has stored three notifications whose payload is `name`, and kills it.
fn store_and_kill(sandbox: &Sandbox, name: &str) {
    let (config, acks) = (format!("{name}.toml"), format!("{name}.acks"));
    let mut command = sandbox.command(["emit", "-c", &config, "--acks", &acks]);
    let mut child = spawn_piped(&mut command);
    child.stdin.as_mut().unwrap().write_all(line(name).repeat(3).as_bytes()).unwrap();
    wait_until("three notifications are stored", || sandbox.lines_of(&acks) >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Configurations that share a spool's directory forward their own notifications only, in whatever order
/// their processes are killed and started again.
#[test]
fn no_destination_gets_the_notifications_of_another_one() {
    for names in [["alpha", "beta", "flat"], ["flat", "beta", "alpha"]] {
        let sandbox = Sandbox::new();
        for name in names {
            sandbox.file(&format!("{name}.toml"), spooled_log(name));
        }
        // No directory of a log exists yet, so everything stays in the spool.
        for name in names {
            store_and_kill(&sandbox, name);
        }
        let check = |name: &str| -> CommandOutput {
            sandbox.run(["check", "-c", &format!("{name}.toml"), "--set", "queue.max_age=9"])
        };
        for name in names {
            let others = names.iter().filter(|other| **other != name && **other != "flat");
            let found = check(name).out;
            for other in others {
                assert!(found.contains(&format!("/spool/{other}")), "{name}: {found}");
            }
        }
        for name in names {
            fs::create_dir(sandbox.path(name)).unwrap();
        }
        for (index, name) in names.into_iter().enumerate() {
            let config = format!("{name}.toml");
            sandbox.pipe(["emit", "-c", &config], line(name)).expect(0);
            sandbox.run(["spool", "drain", "-c", &config]).expect(0);
            let lines = values(&sandbox.read(&format!("{name}/n.log")));
            assert_eq!(lines.len(), 4, "{name}");
            assert!(lines.iter().all(|line| line["payload"] == *name), "{name}: {lines:?}");
            for later in &names[index + 1..] {
                assert!(!sandbox.path(&format!("{later}/n.log")).exists(), "{later}");
            }
        }
    }
}

/// The commands of the spool need the name of one of several destinations.
#[test]
fn the_spool_of_one_destination_is_chosen_by_its_name() {
    let sandbox = Sandbox::new();
    sandbox.file("two.toml", two_spooled_logs());
    sandbox.pipe(["emit", "-c", "two.toml"], line("x"));
    sandbox
        .run(["spool", "stats", "-c", "two.toml"])
        .expect_message(2, "name one with `--destination` (`alpha`, `beta`)");
    sandbox
        .run(["spool", "stats", "-c", "two.toml", "--destination", "gamma"])
        .expect_message(2, "no destination `gamma` is configured");
    sandbox.run(["spool", "ls", "--destination", "beta", "-c", "two.toml"]).expect(0);
}

/// Returns a configuration with two destinations behind the spool `spool`: log files in directories of their
/// own.
fn two_spooled_logs() -> String {
    let beta = spooled_log("beta").replace("spool.dir = 'spool'", "");
    format!("{}{beta}", spooled_log("alpha"))
}

/// The command in the warning about a destination that is configured no longer works with the configuration
/// that lacks it. Only `drain` refuses: nothing says where to.
#[test]
fn the_spool_of_a_removed_destination_can_be_seen() {
    let sandbox = Sandbox::new();
    for name in ["gone", "flat"] {
        sandbox.file(&format!("{name}.toml"), spooled_log(name));
        store_and_kill(&sandbox, name);
    }
    sandbox.file("two.toml", two_spooled_logs());
    // A file in the usual place, as in the command of the warning.
    sandbox.file("glance-notify.toml", two_spooled_logs());
    let found = sandbox.run(["check", "-c", "two.toml"]).out;
    for name in ["gone", "''"] {
        let command = format!("`glance-notify spool ls --destination {name}`");
        assert!(found.contains(&command), "{found}");
        let name = name.trim_matches('\'');
        let output = sandbox.run(["spool", "export", "--destination", name]).expect(0);
        assert_eq!(values(&output.out).len(), 3, "{name}");
        sandbox.run(["spool", "ls", "--destination", name]).expect(0);
        sandbox
            .run(["spool", "drain", "--destination", name])
            .expect_message(2, &format!("no destination `{name}` is configured (`alpha`, `beta`)"));
    }
    for name in ["never", "../spool", ".."] {
        let message = "and no `spool.dir` has a directory of this name";
        sandbox.run(["spool", "ls", "--destination", name]).expect_message(2, message);
    }
}

/// Without a name, `drain` drains the spools of all destinations, and one that fails stops no other. The most
/// serious exit status decides. A destination that has stored nothing has no spool yet.
#[test]
fn a_drain_without_a_name_drains_all_destinations() {
    let sandbox = Sandbox::new();
    let gamma = spooled_log("gamma").replace("spool.dir = 'spool'", "");
    sandbox.file("three.toml", format!("{}{gamma}", two_spooled_logs()));
    let drain = ["spool", "drain", "-c", "three.toml"];
    sandbox.run(drain).expect_message(2, "/spool/alpha`: No such file or directory");
    for name in ["alpha", "beta"] {
        sandbox.file(&format!("{name}.toml"), spooled_log(name));
        store_and_kill(&sandbox, name);
    }
    fs::create_dir(sandbox.path("beta")).unwrap();
    let output = sandbox.run([&drain[..], &["-o", "json"]].concat()).expect(2);
    let summaries = values(&output.out);
    let counts = summaries
        .iter()
        .map(|it| (it["destination"].as_str(), it["delivered"].as_u64(), it["pending"].as_u64()));
    let expected = [(Some("alpha"), Some(0), Some(3)), (Some("beta"), Some(3), Some(0))];
    assert_eq!(counts.collect::<Vec<_>>(), expected, "{}", output.err);
    fs::create_dir(sandbox.path("alpha")).unwrap();
    let output = sandbox.run(drain).expect_message(0, "alpha: 3 delivered by `log`");
    assert!(output.err.contains("beta: 0 delivered by `log`"), "{}", output.err);
}
