//! `cargo xtask test`: sets up the machine and runs every test of the workspace.

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
    if !chooses_packages(extra) {
        command.arg("--workspace");
    }
    cargo::run(command.args(extra))
}

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
