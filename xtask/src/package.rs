//! `cargo xtask package`: builds the Debian package, the RPM and the software bill of materials of the last commit.
//!
//! The metadata of both packages is in the manifest of `glance-notify-cli`. This program puts the files that
//! they name into one directory first: the stripped command, what the command writes about itself, and the
//! files of `docs/ops` with the paths of a package. Two builds of one commit give the same bytes, in whatever
//! directories they run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, last_commit, setup, tools};

/// The files that a build made.
#[derive(Debug)]
pub(crate) struct BuiltPackages {
    pub(crate) deb: PathBuf,
    pub(crate) rpm: PathBuf,
    pub(crate) sbom: PathBuf,
}

impl BuiltPackages {
    /// Returns the paths of all files.
    pub(crate) fn paths(&self) -> [&Path; 3] {
        [&self.deb, &self.rpm, &self.sbom]
    }
}

/// Builds below `target/package`, and prints the paths.
///
/// # Errors
///
/// When a program that builds fails.
pub(crate) fn run() -> Result<()> {
    for path in build(&directory()?)?.paths() {
        println!("{}", path.display());
    }
    Ok(())
}

/// Returns the directory of the command's own builds.
///
/// # Errors
///
/// When cargo reports no target directory.
pub(crate) fn directory() -> Result<PathBuf> {
    Ok(cargo::target_directory()?.join("package"))
}

/// Builds the packages of the last commit in a directory, which keeps what cargo built before.
///
/// # Errors
///
/// When a program that builds fails.
pub(crate) fn build(directory: &Path) -> Result<BuiltPackages> {
    // `dpkg-shlibdeps` finds the libraries that the command needs.
    setup::packages(&["dpkg-dev"])?;
    let build = PackageBuild {
        source: directory.join("source"),
        target: directory.join("target"),
        packages: directory.join("packages"),
        time: last_commit::time()?,
    };
    last_commit::copy_to(&build.source)?;
    if build.packages.exists() {
        fs::remove_dir_all(&build.packages).context("cannot remove the packages of a build")?;
    }
    fs::create_dir_all(&build.packages).context("cannot create the directory of the packages")?;
    let sbom = build.write_sbom()?;
    build.build_command()?;
    build.stage(&sbom)?;
    Ok(BuiltPackages { deb: build.build_deb()?, rpm: build.build_rpm()?, sbom })
}

/// The directories of a build.
struct PackageBuild {
    /// A copy of the last commit.
    source: PathBuf,
    /// The target directory of cargo.
    target: PathBuf,
    /// The place of the finished files.
    packages: PathBuf,
    /// The time of the commit, in seconds.
    time: String,
}

impl PackageBuild {
    /// Returns a command that runs in the sources and knows the target directory and the time.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.source).stdin(Stdio::null());
        command.env("CARGO_TARGET_DIR", &self.target).env("SOURCE_DATE_EPOCH", &self.time);
        command
    }

    /// Writes the software bill of materials of the command.
    fn write_sbom(&self) -> Result<PathBuf> {
        let mut cyclonedx = self.command(tools::get("cargo-cyclonedx", CARGO_CYCLONEDX, &[])?);
        cyclonedx.args(["cyclonedx", "--quiet", "--format=json", "--spec-version=1.5"]);
        cyclonedx.args(["--override-filename=sbom", "--manifest-path"]);
        cargo::run(cyclonedx.arg(self.source.join(CLI).join("Cargo.toml")))?;
        let written = self.source.join(CLI).join("sbom.json");
        let text = fs::read_to_string(&written).context("cargo-cyclonedx wrote no file")?;
        let text = text.replace(&self.source.display().to_string(), "/src");
        let sbom = self.packages.join("glance-notify.cdx.json");
        fs::write(&sbom, text).with_context(|| format!("cannot write {}", sbom.display()))?;
        Ok(sbom)
    }

    /// Builds the command, stripped and without the paths of this machine.
    fn build_command(&self) -> Result<()> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        let home = home.context("neither CARGO_HOME nor HOME is set")?;
        let (mut rust, mut c) = (OsString::new(), OsString::new());
        // The last one that matches wins.
        for (path, name) in [(&home, "/cargo"), (&self.target, "/target"), (&self.source, "/src")] {
            for (flags, flag, separator) in
                [(&mut rust, "--remap-path-prefix=", "\x1f"), (&mut c, "-ffile-prefix-map=", " ")]
            {
                if !flags.is_empty() {
                    flags.push(separator);
                }
                flags.push(flag);
                flags.push(path);
                flags.push(format!("={name}"));
            }
        }
        let mut build = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--release", "--locked", "--package", "glance-notify-cli"]);
        build.env("CARGO_ENCODED_RUSTFLAGS", rust).env("CFLAGS", c);
        cargo::run(build.env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))
    }

    /// Puts the files of the packages into `release/package` of the target directory.
    fn stage(&self, sbom: &Path) -> Result<()> {
        let stage = self.target.join("release/package");
        if stage.exists() {
            fs::remove_dir_all(&stage).context("cannot remove the files of an earlier build")?;
        }
        for directory in ["bin", "completions", "docs", "man", "units"] {
            fs::create_dir_all(stage.join(directory))?;
        }
        let command = stage.join("bin/glance-notify");
        fs::copy(self.target.join("release/glance-notify"), &command)?;

        cargo::run(self.command(&command).args(["--quiet", "man"]).arg(stage.join("man")))?;
        let mut gzip = self.command("gzip");
        cargo::run(gzip.args(["-9", "--no-name", "--recursive"]).arg(stage.join("man")))?;
        for shell in ["bash", "zsh", "fish"] {
            let script = cargo::output(self.command(&command).args(["completions", shell]))?;
            fs::write(stage.join("completions").join(shell), script)?;
        }
        let config = cargo::output(self.command(&command).args(["config", "init", "-"]))?;
        fs::write(stage.join("config.toml"), packaged_config(&config)?)?;

        let ops = self.source.join("docs/ops");
        for entry in fs::read_dir(&ops)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let to = match (name.as_str(), name.rsplit('.').next()) {
                ("glance-notify-outbox", _) => stage.join("bin").join(&name),
                (_, Some("conf")) => stage.join(&name),
                (_, Some("path" | "service")) => stage.join("units").join(&name),
                (_, Some("yml")) => stage.join("docs").join(&name),
                _ => continue,
            };
            let text = fs::read_to_string(ops.join(&name))?;
            fs::write(to, with_packaged_paths(&text))?;
        }
        // The links of the README lead into the sources.
        for document in ["CHANGELOG.md", "LICENSE"] {
            fs::copy(self.source.join(document), stage.join("docs").join(document))?;
        }
        fs::copy(sbom, stage.join("docs/glance-notify.cdx.json"))?;
        Ok(())
    }

    fn build_deb(&self) -> Result<PathBuf> {
        let mut deb = self.command(tools::get("cargo-deb", CARGO_DEB, &[])?);
        deb.args(["--package=glance-notify-cli", "--no-build", "--no-strip", "--quiet"]);
        cargo::run(deb.arg("--output").arg(&self.packages))?;
        self.built("deb")
    }

    fn build_rpm(&self) -> Result<PathBuf> {
        let mut rpm = self.command(tools::get("cargo-generate-rpm", CARGO_GENERATE_RPM, &[])?);
        rpm.args(["generate-rpm", "--package", CLI, "--target-dir"]).arg(&self.target);
        // The other procedures differ between machines with and without rpm.
        rpm.args(["--auto-req=builtin", "--source-date", &self.time]);
        rpm.arg("--output").arg(&self.packages);
        cargo::run(&mut rpm)?;
        self.built("rpm")
    }

    /// Returns the path of the package with this extension. Its builder named it after version and machine.
    fn built(&self, extension: &str) -> Result<PathBuf> {
        for entry in fs::read_dir(&self.packages)? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == extension) {
                return Ok(path);
            }
        }
        bail!("no .{extension} in {}", self.packages.display())
    }
}

/// Replaces the paths of an installation by hand by those of a package.
fn with_packaged_paths(text: &str) -> String {
    text.replace("/usr/local/bin/", "/usr/bin/")
        .replace("/etc/glance/archive.toml", CONFIG)
        .replace("/etc/glance/notify.toml", CONFIG)
}

/// Puts the directories that the package makes into the sample of the configuration.
fn packaged_config(sample: &str) -> Result<String> {
    let mut text = sample.to_owned();
    for (sampled, packaged) in [
        ("\nfile = \"notifications.log\"", "\nfile = \"/var/log/glance-notify/notifications.log\""),
        ("# dir = \"/var/spool/glance-notify\"", "# dir = \"/var/spool/glance-notify/spool\""),
    ] {
        ensure!(text.matches(sampled).count() == 1, "the sample has not one line `{sampled}`");
        text = text.replace(sampled, packaged);
    }
    Ok(text)
}

/// The directory of the command's manifest.
const CLI: &str = "crates/glance-notify-cli";
const CONFIG: &str = "/etc/glance-notify/config.toml";
const CARGO_DEB: &str = "3.8.0";
const CARGO_GENERATE_RPM: &str = "0.21.1";
const CARGO_CYCLONEDX: &str = "0.5.9";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_the_paths_of_a_package() {
        let unit = "ExecStart=/usr/local/bin/glance-notify archive -c /etc/glance/archive.toml";
        let packaged = "ExecStart=/usr/bin/glance-notify archive -c /etc/glance-notify/config.toml";
        assert_eq!(with_packaged_paths(unit), packaged);
    }
}
