//! `docs/quickstart.md`, run as it stands.

use std::process::{Command, Stdio};

use crate::support::Sandbox;

/// Every command of the page succeeds, in order and in one directory, and prints what the page shows.
///
/// The installation is the exception: the test puts the command that it tests into the path.
#[test]
fn the_first_ten_minutes_work_as_they_stand() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("bin")).unwrap();
    let program = env!("CARGO_BIN_EXE_glance-notify");
    std::os::unix::fs::symlink(program, sandbox.path("bin/glance-notify")).unwrap();
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let page = include_str!("../../../../docs/quickstart.md");
    let mut output = String::new();
    let (mut commands, mut shown) = (0, 0);
    for block in page.split("```").skip(1).step_by(2) {
        if let Some(script) = block.strip_prefix("sh\n") {
            if script.starts_with("cargo install ") {
                continue;
            }
            let mut shell = Command::new("sh");
            shell.args(["-e", "-c", &format!("exec 2>&1\n{script}")]).stdin(Stdio::null());
            shell.current_dir(&sandbox.dir).env_clear().env("PATH", &path);
            let result = shell.output().unwrap();
            output = String::from_utf8(result.stdout).unwrap();
            assert!(result.status.success(), "{script}\n{output}");
            commands += script.lines().count();
        } else if let Some(lines) = block.strip_prefix("text\n") {
            for line in lines.lines() {
                assert!(output.contains(line), "expected {line:?} in:\n{output}");
                shown += 1;
            }
        }
    }
    assert!(commands >= 10 && shown >= 10, "{commands} commands, {shown} lines shown");
}
