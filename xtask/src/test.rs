//! `cargo xtask test`: sets up the machine and runs every test of the workspace.

use std::num::NonZero;

use anyhow::Result;

use crate::cargo::{self, cargo};
use crate::setup;

/// Runs the tests and doctests with all features. Passes `extra` on to `cargo test`.
///
/// # Errors
///
/// When the machine cannot be set up, or a test fails.
pub(crate) fn run(extra: &[String]) -> Result<()> {
    setup::run()?;
    let mut command = cargo(&["test", "--all-features"]);
    if std::env::var_os(TEST_THREADS).is_none() {
        // Most tests wait for a broker or a process, so one more than the processors keeps them busy.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        command.env(TEST_THREADS, (processors + 1).to_string());
    }
    if !chooses_packages(extra) {
        command.arg("--workspace");
    }
    cargo::run(command.args(extra))
}

/// The variable with the number of tests that a test program runs at once.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// Returns whether the arguments select packages.
fn chooses_packages(extra: &[String]) -> bool {
    extra
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_select_packages() {
        let chooses = |line: &str| {
            chooses_packages(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(chooses("-p notify-core"));
        assert!(chooses("--package=notify-core"));
        assert!(!chooses("some_test -- -p"));
        assert!(!chooses(""));
    }
}
