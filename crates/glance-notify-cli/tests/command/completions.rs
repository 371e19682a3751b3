//! `completions`, `--version` and the usage: the parts that a packager needs.

use crate::support::Sandbox;

/// Each shell's script names the command and its subcommands. An unknown shell gets the
/// list of known ones.
#[test]
fn every_shell_has_a_completion_script() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sandbox.run(["completions", shell]).expect(0);
        assert!(output.out.contains("glance-notify") && output.out.contains("emit"), "{shell}");
    }
    sandbox.run(["completions", "csh.exe"]).expect_message(2, "[possible values: bash");
}

/// `--version` lists the Cargo features, so that you can see which strategies a binary
/// supports.
///
/// Two binaries of one version may differ in their features.
#[test]
fn version_lists_the_compiled_features() {
    let output = Sandbox::new().run(["--version"]).expect(0);
    let version = format!("glance-notify {} (compiled in: ", env!("CARGO_PKG_VERSION"));
    let features = output.out.strip_prefix(&version).and_then(|rest| rest.strip_suffix(")\n"));
    let features: Vec<_> = features.unwrap().split(", ").collect();
    for feature in ["log", "noop", "schema"] {
        assert!(features.contains(&feature), "{features:?}");
    }
}

/// Running the command without arguments is wrong usage, and shows the right one.
#[test]
fn prints_the_usage_without_arguments() {
    Sandbox::new().run::<&str>([]).expect_message(2, "Usage: glance-notify");
}
