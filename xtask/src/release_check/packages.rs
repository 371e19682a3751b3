//! The packages: reproducible, complete, installed and purged in a fresh root of Debian, and readable for rpm.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::package::{self, BuiltPackages};
use crate::{cargo, debian, setup};

/// Builds the packages as `cargo xtask package` does and once more below `directory`, and tries them. Needs root.
///
/// # Errors
///
/// Returns an error if two builds differ, or if a package fails its trial.
pub(super) fn check(directory: &Path) -> Result<()> {
    setup::packages(&["rpm"])?;
    let built = package::build(&package::directory()?)?;
    // A path of another length, because a path that a build keeps would change the sizes.
    let again = package::build(&directory.join("another/place"))?;
    for (one, other) in built.paths().into_iter().zip(again.paths()) {
        let read = |path: &Path| fs::read(path).with_context(|| format!("no {}", path.display()));
        ensure!(read(one)? == read(other)?, "two builds of {} differ", one.display());
    }
    println!("two builds in different directories give the same bytes");
    check_rpm(&built)?;
    check_installation(&built, &directory.join("root"))
}

/// Installs, tries and removes both packages in a fresh root.
fn check_installation(built: &BuiltPackages, root: &Path) -> Result<()> {
    let pristine = debian::install("debian-bookworm", "bookworm", &[])?;
    cargo::run(Command::new("cp").arg("--archive").arg(&pristine).arg(root))?;
    fs::copy(&built.deb, root.join("tmp/glance-notify.deb"))?;
    fs::copy(&built.rpm, root.join("tmp/glance-notify.rpm"))?;
    fs::write(root.join("tmp/check"), include_str!("debian_root.sh"))?;
    let mut chroot = Command::new("unshare");
    // The mounts end with the process.
    chroot.args(["--mount", "--propagation", "private", "sh", "-euc", ENTER]).arg(root);
    cargo::run(chroot.stdin(Stdio::null()))?;
    println!("both packages install, work and leave only data");
    Ok(())
}

/// Reads the RPM with rpm, and compares it with the Debian package.
fn check_rpm(built: &BuiltPackages) -> Result<()> {
    let rpm = |arguments: &[&str]| {
        cargo::output(Command::new("rpm").args(arguments).arg(&built.rpm).stderr(Stdio::null()))
    };
    rpm(&["--checksig", "--nosignature"])?;
    let list = rpm(&["--query", "--list", "--package"])?;
    let deb = cargo::output(Command::new("dpkg-deb").arg("--contents").arg(&built.deb))?;
    let files = deb.lines().filter(|line| line.starts_with('-'));
    for (_, path) in files.filter_map(|line| line.split_once(" ./")) {
        // Each family of systems has a directory of its own for zsh. Debian wants a file on the copyright.
        let path = path.replace("zsh/vendor-completions", "zsh/site-functions");
        let is_there = list.lines().any(|line| line.strip_prefix('/') == Some(&path));
        ensure!(is_there || path.ends_with("/copyright"), "the RPM has no /{path}");
    }
    let format = "[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEMODES:octal} %{FILEGROUPNAME}\n]";
    let files = rpm(&["--query", "--queryformat", format, "--package"])?;
    for wanted in [
        "/etc/glance-notify/config.toml cn 100640 glance-notify",
        "/etc/logrotate.d/glance-notify cn 100644 root",
        "/usr/bin/glance-notify  100755 root",
    ] {
        ensure!(files.lines().any(|line| line == wanted), "no `{wanted}` in:\n{files}");
    }
    let requires = rpm(&["--query", "--requires", "--package"])?;
    for name in ["systemd", "libc.so.6"] {
        ensure!(requires.lines().any(|line| line.starts_with(name)), "no {name} in: {requires}");
    }
    let user = fs::read_to_string(cargo::root().join("docs/ops/sysusers.conf"))?;
    let user = user.lines().last().unwrap_or_default();
    for (tag, words) in [
        ("PREIN", user),
        ("POSTIN", "systemd-tmpfiles --create"),
        ("PREUN", "disable $units"),
        ("POSTUN", "try-restart"),
    ] {
        let script = rpm(&["--query", "--queryformat", &format!("%{{{tag}}}"), "--package"])?;
        ensure!(script.contains(words), "{tag} has no `{words}`: {script}");
        cargo::run(Command::new("sh").args(["-n", "-c", &script]))
            .with_context(|| format!("{tag} is no valid script"))?;
    }
    println!("rpm reads the package, its files and its scripts");
    Ok(())
}

/// Makes the system in a directory complete, and runs the check in it.
const ENTER: &str = r#"
cp /etc/hosts /etc/resolv.conf "$0/etc/"
mount --rbind /proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" sh -e /tmp/check
"#;
