//! The archives that `cargo publish` would upload: they are complete, and build outside the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{self, Package, cargo, root};
use crate::features;

/// Packs the published crates into `directory`, and builds them and two programs from the archives.
///
/// # Errors
///
/// When cargo warns, when a file is missing, when something does not build, or when a program has a crate that
/// it must not have.
pub(super) fn check(directory: &Path) -> Result<()> {
    let packages: Vec<_> = cargo::members()?.into_iter().filter(Package::is_published).collect();
    // The published crates have one version, which the programs name.
    let version = packages.first().context("no crate is published")?.version.clone();
    let unpacked = unpack(&packages, directory)?;
    let workspace = OutsideWorkspace {
        directory: directory.join("outside"),
        target: cargo::target_directory()?,
        packages: &packages,
    };
    workspace.write(&unpacked)?;
    println!("building {} crates from their archives", packages.len());
    workspace.run(&["build", "--workspace", "--all-features"])?;

    let dependencies = ONLY_LOG.replace("X.Y.Z", &version);
    workspace.program("only-log", &dependencies, include_str!("programs/only_log.rs"))?;
    let printed = workspace.output("only-log", &["run", "--quiet"])?;
    ensure!(printed.contains("image.upload"), "the program with `notify-log` printed: {printed}");
    let tree = workspace.tree("only-log")?;
    let network = features::network_crates(&tree);
    ensure!(network.is_empty(), "`notify-core` and `notify-log` add {}", network.join(", "));

    let dependencies = ONLY_RABBIT.replace("X.Y.Z", &version);
    workspace.program("only-rabbit", &dependencies, include_str!("programs/only_rabbit.rs"))?;
    let printed = workspace.output("only-rabbit", &["run", "--quiet"])?;
    ensure!(printed.contains("`rabbit`"), "the program with `rabbit` printed: {printed}");
    let tree = workspace.tree("only-rabbit")?;
    ensure!(tree.iter().any(|name| name == "lapin"), "`rabbit` does not add lapin");
    let foreign: Vec<_> = tree.iter().filter(|name| name.starts_with("fe2o3")).collect();
    ensure!(foreign.is_empty(), "`rabbit` adds {foreign:?}");
    println!("the crates build from their archives, and add no crate that they should not");
    Ok(())
}

/// Packs the crates and unpacks the archives. Returns the directory with the unpacked crates.
fn unpack(packages: &[Package], directory: &Path) -> Result<PathBuf> {
    let target = directory.join("target");
    let mut pack = cargo(&["package", "--no-verify", "--locked", "--target-dir"]);
    pack.arg(&target);
    for package in packages {
        pack.args(["--package", &package.name]);
    }
    let output = pack.output().context("cannot start cargo")?;
    let printed = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || printed.contains("warning") {
        bail!("`cargo package` is not content:\n{printed}");
    }
    let unpacked = directory.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    for package in packages {
        let name = format!("{}-{}", package.name, package.version);
        let archive = target.join("package").join(format!("{name}.crate"));
        let mut tar = Command::new("tar");
        cargo::run(tar.arg("-xzf").arg(&archive).arg("--directory").arg(&unpacked))?;
        for file in ["Cargo.toml", "LICENSE", "README.md"] {
            let path = unpacked.join(&name).join(file);
            let is_there = path.is_file() && !path.is_symlink();
            ensure!(is_there, "the archive of {} has no {file}", package.name);
        }
    }
    Ok(unpacked)
}

/// A workspace in which the crates come from their archives.
struct OutsideWorkspace<'a> {
    directory: PathBuf,
    /// The target directory, which has most of the other crates already.
    target: PathBuf,
    packages: &'a [Package],
}

impl OutsideWorkspace<'_> {
    /// Moves the unpacked crates into the workspace and writes its manifest.
    fn write(&self, unpacked: &Path) -> Result<()> {
        fs::create_dir_all(&self.directory)?;
        fs::rename(unpacked, self.directory.join("crates"))?;
        // The versions of other crates that were tested.
        fs::copy(root().join("Cargo.lock"), self.directory.join("Cargo.lock"))?;
        self.write_manifest(
            &self.directory,
            "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\n",
        )
    }

    /// Writes a program of its own, outside the workspace's members.
    fn program(&self, name: &str, dependencies: &str, source: &str) -> Result<()> {
        let directory = self.directory.join("programs").join(name);
        fs::create_dir_all(directory.join("src"))?;
        fs::write(directory.join("src/main.rs"), source)?;
        fs::copy(root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
        let head = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}"
        );
        self.write_manifest(&directory, &head)
    }

    /// Writes a manifest that takes the crates from their directories.
    fn write_manifest(&self, directory: &Path, head: &str) -> Result<()> {
        let patch = |package: &Package| {
            let (name, version) = (&package.name, &package.version);
            let path = self.directory.join("crates").join(format!("{name}-{version}"));
            format!("{name} = {{ path = \"{}\" }}\n", path.display())
        };
        let patches: String = self.packages.iter().map(patch).collect();
        let manifest = format!("{head}\n[patch.crates-io]\n{patches}");
        fs::write(directory.join("Cargo.toml"), manifest)?;
        Ok(())
    }

    /// Returns a command that runs cargo in a directory.
    fn cargo(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        command.current_dir(directory).env("CARGO_TARGET_DIR", &self.target);
        // As in this workspace, so that cargo finds the crates that it has built.
        command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        command
    }

    /// Runs cargo in the workspace.
    fn run(&self, arguments: &[&str]) -> Result<()> {
        cargo::run(&mut self.cargo(&self.directory, arguments))
    }

    /// Runs cargo for a program, and returns what it prints.
    fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let directory = self.directory.join("programs").join(program);
        cargo::output(&mut self.cargo(&directory, arguments))
    }

    /// Returns the names of the crates of a program.
    fn tree(&self, program: &str) -> Result<Vec<String>> {
        let lines = self.output(program, &["tree", "--edges=normal", "--prefix=none"])?;
        let names = lines.lines().filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }
}

const ONLY_LOG: &str = "notify-core = \"X.Y.Z\"\nnotify-log = \"X.Y.Z\"\ntokio = { version = \"1\", \
                        features = [\"macros\", \"rt\"] }\n";
const ONLY_RABBIT: &str = "glance-notify = { version = \"X.Y.Z\", default-features = false, \
                           features = [\"rabbit\"] }\n";
