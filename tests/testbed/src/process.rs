//! Tests that need a process to be killed, limited or traced start themselves again, in a role.

use std::process::Command;

/// The test `name` of the running program in a process of its own, started by `wrapper` if there is
/// one. There it finds [`role`] and plays it.
pub fn process(wrapper: &[&str], name: &str, role: &str) -> Command {
    let program = std::env::current_exe().expect("this program to have a path");
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.args(["--exact", name, "--nocapture"]).env(ROLE, role);
    command
}

/// What this process was started to do, if it was by [`process`].
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

const ROLE: &str = "NOTIFY_TEST_ROLE";
