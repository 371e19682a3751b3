//! The files in `docs/ops`, tried with the programs that read them, and the outbox under `kill -9`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{Sandbox, copy_program};

/// Returns the path of a file in `docs/ops`.
fn ops(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops").join(name)
}

/// Runs a program and returns its output. Panics if the program is missing.
fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask setup`"))
}

/// Asserts success, and that the output holds no complaint.
#[track_caller]
fn assert_quiet(output: &Output) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    for complaint in ["Unknown", "unknown", "error:", "Failed to", "Invalid", "ignoring"] {
        assert!(!text.contains(complaint), "{text}");
    }
}

/// Puts the script and the command into a directory for programs.
fn install(sandbox: &Sandbox) -> PathBuf {
    let bin = sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_glance-notify"), bin.join("glance-notify"))
        .unwrap();
    copy_program(&ops("glance-notify-outbox"), &bin.join("glance-notify-outbox"));
    bin
}

/// `systemd-analyze verify` accepts every unit.
#[test]
fn the_units_are_valid() {
    let sandbox = Sandbox::new();
    let bin = install(&sandbox);
    let units = [
        "glance-notify-outbox.service",
        "glance-notify-outbox.path",
        "glance-notify-drain.service",
        "glance-notify-archive.service",
    ];
    for unit in units {
        let text = fs::read_to_string(ops(unit)).unwrap();
        // The check looks for the program that a unit starts.
        sandbox.file(unit, text.replace("/usr/local/bin", bin.to_str().unwrap()));
    }
    for unit in units {
        let path = sandbox.path(unit);
        assert_quiet(&run("systemd-analyze", &["verify", "--man=no", path.to_str().unwrap()]));
    }
}

/// The user and the directories can be made, and the directories belong to the user.
#[test]
fn the_user_and_the_directories_can_be_made() {
    let sandbox = Sandbox::new();
    let root = format!("--root={}", sandbox.dir.path().display());
    fs::create_dir_all(sandbox.path("etc")).unwrap();
    assert_quiet(&run("systemd-sysusers", &[&root, ops("sysusers.conf").to_str().unwrap()]));
    let passwd = sandbox.read("etc/passwd");
    assert!(passwd.contains("glance-notify:x:"), "{passwd}");
    let tmpfiles = ops("tmpfiles.conf");
    assert_quiet(&run("systemd-tmpfiles", &["--create", &root, tmpfiles.to_str().unwrap()]));
    for (dir, mode) in [("spool", 0o700), ("outbox/new", 0o770), ("outbox/tmp", 0o770)] {
        let path = sandbox.path("var/spool/glance-notify").join(dir);
        let permissions = fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{dir}");
    }
}

/// `logrotate -d` accepts the configuration.
#[test]
fn the_logrotate_configuration_is_valid() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(ops("logrotate.conf")).unwrap();
    // This machine has no such user and no such log.
    let user = String::from_utf8(run("id", &["-un"]).stdout).unwrap();
    let group = String::from_utf8(run("id", &["-gn"]).stdout).unwrap();
    let su = format!("su {} {}", user.trim(), group.trim());
    let log = sandbox.path("notifications.log").display().to_string();
    let text = text
        .replace("su glance-notify glance-notify", &su)
        .replace("/var/log/glance-notify/notifications.log", &log);
    sandbox.file("logrotate.conf", text);
    sandbox.file("notifications.log", "x\n");
    let conf = sandbox.path("logrotate.conf");
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o644)).unwrap();
    let state = sandbox.path("state");
    let args = ["-d", "-s", state.to_str().unwrap(), conf.to_str().unwrap()];
    let output = run("logrotate", &args);
    assert_quiet(&output);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("rotating pattern") && text.contains("14 rotations"), "{text}");
}

/// The outbox loses nothing when its script and `emit` are killed with `kill -9` again and again, and delivers
/// nothing that was not written. Rejected lines are kept.
#[test]
fn the_outbox_loses_nothing_at_kill_9() {
    /// The number of files, with as many lines each.
    const FILES: usize = 30;
    let sandbox = Sandbox::new();
    let bin = install(&sandbox);
    for dir in ["outbox", "outbox/tmp", "outbox/new"] {
        fs::create_dir(sandbox.path(dir)).unwrap();
    }
    sandbox.file("notify.toml", "strategy = \"log\"\nlog.file = \"n.log\"\n");
    let example = sandbox.run(["schema", "--example", "image.upload"]).out;
    let id_of_example = &serde_json::from_str::<serde_json::Value>(&example).unwrap()["message_id"];
    let id_of_example = id_of_example.as_str().unwrap().to_owned();
    let mut written = BTreeSet::new();
    for file in 0..FILES {
        let mut text = String::new();
        for line in 0..FILES {
            let id = format!("00000000-0000-4000-8000-{file:06}{line:06}");
            text.push_str(&example.replace(&id_of_example, &id));
            written.insert(id);
        }
        text.push_str("no notification\n");
        let name = format!("{file:04}.jsonl");
        fs::write(sandbox.path("outbox/tmp").join(&name), text).unwrap();
        fs::rename(sandbox.path("outbox/tmp").join(&name), sandbox.path("outbox/new").join(&name))
            .unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let script = || {
        let mut command = Command::new(bin.join("glance-notify-outbox"));
        command.args(["outbox", "-c", "notify.toml"]).current_dir(&sandbox.dir);
        command.env_clear().env("PATH", &path).stdin(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that the kill also reaches `emit`.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().unwrap()
    };
    let waiting = || fs::read_dir(sandbox.path("outbox/new")).unwrap().count();
    let mut kills = 0;
    while waiting() > FILES / 2 {
        let mut child = script();
        // Longer and longer, so that a slow machine gets through too.
        std::thread::sleep(std::time::Duration::from_millis(20 + kills % 7 * 25 + kills));
        let group = format!("-{}", child.id());
        run("kill", &["-9", "--", &group]);
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0);
    assert!(script().wait().unwrap().success());
    assert_eq!(waiting(), 0);
    // A kill cuts a line, and the next run delivers that notification again.
    let log = sandbox.read("n.log");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let delivered: BTreeSet<_> =
        lines.map(|line| line["message_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(delivered, written);
    assert!(sandbox.read("outbox/rejected").matches("no notification\n").count() >= FILES);
}
