//! Child processes that run the current test program again, in a role.
//!
//! A test that kills, limits or traces a process starts itself once more with [`role_process`]. In
//! the child, [`role`] returns the role, and the test does the child's part instead of the
//! parent's.

use std::process::Command;

/// Returns a command that runs the test `name` of the current program in a process of its own, with
/// `role` as its role.
///
/// `wrapper` is a program and its first arguments, such as `["strace", "-f"]`; the test program
/// follows as its last arguments. With an empty `wrapper`, the test program runs by itself.
pub fn role_process(wrapper: &[&str], name: &str, role: &str) -> Command {
    let program = std::env::current_exe().expect("the current program has a path");
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

/// Returns the role of the current process, or `None` if [`role_process`] did not start it.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The environment variable that carries the role to the child.
const ROLE: &str = "NOTIFY_TEST_ROLE";
