//! `check`: what is in force and where it came from, and whether it would work.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::Place;

#[test]
fn each_key_is_shown_with_where_it_came_from() {
    let place = Place::new();
    place.file("notify.toml", "strategy = \"log\"\ncompat = \"openstack\"\nlog_file = \"n.log\"\n");
    let mut command = place.command(["check", "-c", "notify.toml", "--set", "queue.max_age=60"]);
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
    assert!(!place.path("n.log").exists(), "nothing is created");
}

#[test]
fn what_would_not_work_is_told_and_counted_by_the_exit_code() {
    let place = Place::new();
    let check = |file: &str| {
        place.run(["check", "--set", "strategy=log", "--set", &format!("log.file={file}")])
    };
    assert!(check("n.log").expect(0).out.contains("\ngood "));
    assert!(check("none/n.log").expect(2).out.contains("\nbad "));
    fs::create_dir(place.path("directory")).unwrap();
    assert!(check("directory").expect(2).out.contains("\nbad "));
    symlink("loop", place.path("loop")).unwrap();
    assert!(check("loop").expect(3).out.contains("\nbad "));
}

#[test]
fn secrets_are_masked_and_warned_of_where_everybody_reads_them() {
    let place = Place::new();
    let toml =
        "strategy = \"log\"\nlog_file = \"n.log\"\npublisher_id = \"https://u:hunter2@h/v\"\n";
    place.file("notify.toml", toml);
    fs::set_permissions(place.path("notify.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let ended = place.run(["check", "-c", "notify.toml"]);
    assert!(ended.out.contains("publisher_id = \"https://***@h/v\""), "{}", ended.out);
    let warning = "`notify.toml` contains a secret, and every user can read the file";
    assert_eq!(ended.err.matches(warning).count(), 1, "{}", ended.err);
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"));
}

#[test]
fn what_is_wrong_is_shown_by_its_key_and_origin_alone() {
    let ended = Place::new().run(["check", "--set", "strategy=log", "--set", "log.sync=hunter2"]);
    let ended = ended.says(2, "`log.sync` (--set): expected true or false, found a string");
    assert!(ended.out.contains("log.sync = …"), "{}", ended.out);
    assert!(ended.out.contains("queue.send_timeout = 120"), "{}", ended.out);
}

#[test]
fn what_no_notifier_can_be_built_with_is_refused() {
    let place = Place::new();
    place.run(["check", "--set", "disabled_notifications=[\"image.member\"]"]).says(
        2,
        "`disabled_notifications`: \"image.member\" is neither an event type nor a group (image, task)",
    );
    place
        .run(["check", "--set", "queue.max_bytes=1000"])
        .says(2, "`queue.max_bytes` must be at least");
    place.run(["check"]).expect(0);
}
