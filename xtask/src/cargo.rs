//! Running cargo and other programs, and the metadata of the workspace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets the variable; otherwise use the place where this program was built.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Returns a command that runs cargo with `arguments` at the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a program to its end. It shares the standard output and error of this program.
///
/// # Errors
///
/// When the program cannot be started, or ends with an exit code other than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
///
/// As [`run`]; the error includes the program's standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{name}` printed invalid UTF-8"))
}

/// Returns the members of the workspace.
pub(crate) fn members() -> Result<Vec<Package>> {
    Ok(metadata()?.packages)
}

/// Returns the target directory of this workspace.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(metadata()?.target_directory)
}

fn metadata() -> Result<WorkspaceMetadata> {
    let metadata = output(&mut cargo(&["metadata", "--format-version=1", "--no-deps"]))?;
    serde_json::from_str(&metadata).context("cannot parse the output of `cargo metadata`")
}

/// The parts of cargo's metadata that xtask uses.
#[derive(Deserialize)]
struct WorkspaceMetadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) description: Option<String>,
    pub(crate) documentation: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) readme: Option<PathBuf>,
    pub(crate) rust_version: Option<String>,
    /// The tables below `package.metadata`.
    pub(crate) metadata: serde_json::Value,
    /// The registries that the package may go to; `None` for any, empty for none.
    pub(crate) publish: Option<Vec<String>>,
    /// Each feature with the features that it enables.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

impl Package {
    /// Returns whether the package may go to a registry.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Returns the normal dependencies, without those of tests and build scripts.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|d| d.kind.is_none()).map(|d| d.name.as_str())
    }
}

/// A dependency of a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency; otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// Returns a short form of a command line for messages.
fn name(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default();
    // A whole script says nothing.
    let words = command.get_args().map(|word| word.to_string_lossy());
    let words = words.filter(|word| !word.contains('\n'));
    words.fold(program.to_owned(), |name, word| {
        // Long enough to identify the command.
        if name.len() < 100 { format!("{name} {word}") } else { name }
    })
}
