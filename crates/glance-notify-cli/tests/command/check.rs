//! `check`: the effective configuration with its origins, and the findings about the
//! destination.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::Sandbox;

/// The output shows each key with its value and its origin: file, environment variable,
/// `--set`, compatibility mode or default. The check itself creates no log file.
///
/// Operators use this output to find out which of several files or variables won.
#[test]
fn check_prints_each_key_with_its_origin() {
    let sandbox = Sandbox::new();
    sandbox
        .file("notify.toml", "strategy = \"log\"\ncompat = \"openstack\"\nlog_file = \"n.log\"\n");
    let mut command = sandbox.command(["check", "-c", "notify.toml", "--set", "queue.max_age=60"]);
    command.env("GLANCE_NOTIFY__LOG__SYNC", "false");
    let output = command.output().unwrap();
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> =
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "strategy = \"log\" # notify.toml",
        "log.file = \"n.log\" # notify.toml",
        "log.sync = false # environment variable GLANCE_NOTIFY__LOG__SYNC",
        "payloads = \"glance\" # compat = \"openstack\"",
        "queue.max_age = 60 # --set",
        "queue.send_timeout = 120 # default",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in\n{out}");
    }
    assert!(lines.iter().any(|line| line.starts_with("good file: ")), "{out}");
    assert!(!sandbox.path("n.log").exists(), "check creates no file");
}

/// A finding that needs a change exits with 2, and one that may pass with 3.
///
/// A missing directory and a directory in place of the file need a change. A link that
/// points to itself fails like a file system that is away for a moment.
#[test]
fn bad_findings_decide_the_exit_code() {
    let sandbox = Sandbox::new();
    let check = |file: &str| {
        sandbox.run(["check", "--set", "strategy=log", "--set", &format!("log.file={file}")])
    };
    assert!(check("n.log").expect(0).out.contains("\ngood "));
    assert!(check("none/n.log").expect(2).out.contains("\nbad "));
    fs::create_dir(sandbox.path("directory")).unwrap();
    assert!(check("directory").expect(2).out.contains("\nbad "));
    symlink("loop", sandbox.path("loop")).unwrap();
    assert!(check("loop").expect(3).out.contains("\nbad "));
}

/// A password in a value is masked, and a warning names the file that exposes it.
#[test]
fn masks_secrets_and_warns_of_a_world_readable_file() {
    let sandbox = Sandbox::new();
    let toml =
        "strategy = \"log\"\nlog_file = \"n.log\"\npublisher_id = \"https://u:hunter2@h/v\"\n";
    sandbox.file("notify.toml", toml);
    fs::set_permissions(sandbox.path("notify.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = sandbox.run(["check", "-c", "notify.toml"]);
    assert!(output.out.contains("publisher_id = \"https://***@h/v\""), "{}", output.out);
    let warning = "`notify.toml` contains a secret, and every user can read the file";
    assert_eq!(output.err.matches(warning).count(), 1, "{}", output.err);
    assert!(!output.out.contains("hunter2") && !output.err.contains("hunter2"));
}

/// While any value is invalid, the output shows defaults only. An invalid value may be a
/// password in the wrong place.
#[test]
fn hides_the_values_of_an_invalid_configuration() {
    let output =
        Sandbox::new().run(["check", "--set", "strategy=log", "--set", "log.sync=hunter2"]);
    let output =
        output.expect_message(2, "`log.sync` (--set): expected true or false, found a string");
    assert!(output.out.contains("log.sync = …"), "{}", output.out);
    assert!(output.out.contains("queue.send_timeout = 120"), "{}", output.out);
}

/// The output hides the table of a wrong key in every destination, as it does in the flat form.
#[test]
fn hides_the_values_of_an_invalid_destination() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "notify.toml",
        "[rabbit]\nuser = \"hunter2\"\n\
         [[destination]]\nname = \"a\"\nstrategy = \"rabbit\"\nrabbit.host = \"mq1\"\n\
         [[destination]]\nname = \"b\"\nstrategy = \"rabbit\"\nrabbit.host = \"hunter2\"\n",
    );
    for format in ["text", "json"] {
        let output = sandbox.run(["check", "-c", "notify.toml", "-o", format]);
        let output = output.expect_message(2, "no password: set `destination[0].rabbit.password`");
        assert!(!output.out.contains("hunter2"), "{}", output.out);
        assert!(output.out.contains("destination[1].rabbit.user"), "{}", output.out);
    }
}

/// `check` also finds errors that the configuration's parser cannot see.
///
/// The group `image.member` and a queue that holds no whole message parse well, but no
/// notifier accepts them.
#[test]
fn rejects_settings_that_only_a_notifier_validates() {
    let sandbox = Sandbox::new();
    sandbox.run(["check", "--set", "strategy=noop", "--set", "disabled_notifications=[\"image member\"]"]).expect_message(
        2,
        "`disabled_notifications`: \"image member\" is neither an event type nor a group (image, task)",
    );
    sandbox
        .run(["check", "--set", "strategy=noop", "--set", "queue.max_bytes=1000"])
        .expect_message(2, "`queue.max_bytes` must be at least");
    sandbox.run(["check", "--set", "strategy=noop"]).expect(0);
}
