//! `cargo xtask setup`: what the tests need from the system, installing only what is missing.
//!
//! Debian packages, and a Python environment in `.venv` at the root of the workspace: there the tests
//! find it whatever the target directory and the home directory are. No service is started or stopped,
//! RabbitMQ's is left disabled, and nothing of this project stays in the system.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, root};

/// Installs what is missing. Does nothing, quickly, when nothing is.
///
/// # Errors
///
/// When something is missing and cannot be installed.
pub(crate) fn run() -> Result<()> {
    packages(&PACKAGES)?;
    python_environment(&root())
}

/// As [`run`], and installs what the benchmarks' peers need.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_for_benchmarks() -> Result<()> {
    packages(&BENCH_PACKAGES)?;
    run()
}

/// Installs those of these Debian packages that are missing.
///
/// # Errors
///
/// When one is missing and cannot be installed.
pub(crate) fn packages(packages: &[&str]) -> Result<()> {
    install_packages(&missing(packages)?)
}

/// Those of these packages that are not installed.
fn missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .stderr(Stdio::null())
        .output()
        .context("cannot run `dpkg-query`: only Debian and its derivatives are supported")?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let installed =
        |package: &str| listed.lines().any(|line| line == format!("{package} installed"));
    Ok(packages.iter().copied().filter(|package| !installed(package)).collect())
}

/// Installs Debian packages without starting the services in them.
fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    println!("installing {}", packages.join(", "));
    let elevate = elevation()?;
    let command = |program: &str| {
        let mut command = match elevate {
            None => Command::new(program),
            Some(sudo) => {
                let mut command = Command::new(sudo);
                command.arg(program);
                command
            }
        };
        command.stdin(Stdio::null());
        command
    };

    let silent = SilentServices::new()?;
    cargo::run(command("apt-get").args(["--quiet", "--option", LOCK_TIMEOUT, "update"]))?;
    cargo::run(
        command("env")
            .arg("DEBIAN_FRONTEND=noninteractive")
            .args(["apt-get", "--quiet", "--yes", "--no-install-recommends"])
            .args(["--option", LOCK_TIMEOUT, "--option", &silent.dpkg_path()])
            .arg("install")
            .args(packages),
    )?;
    if packages.contains(&"rabbitmq-server") {
        // Debian enables what it installs. The tests start nodes of their own.
        cargo::run(command("update-rc.d").args(["rabbitmq-server", "disable"]))?;
    }
    Ok(())
}

/// How to become root: not at all, or by which program.
fn elevation() -> Result<Option<&'static str>> {
    let output = Command::new("id").arg("--user").output().context("cannot run `id`")?;
    if output.stdout.trim_ascii() == b"0" {
        return Ok(None);
    }
    let sudo =
        Command::new("sudo").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !sudo.is_ok_and(|status| status.success()) {
        bail!("packages are missing, and to install them takes root or `sudo`");
    }
    Ok(Some("sudo"))
}

/// Keeps the packages' scripts from starting services, by programs of the same names that do nothing
/// at the head of their path.
///
/// A `policy-rc.d` would do it too, but would stay behind if this program were killed.
struct SilentServices(tempfile::TempDir);

impl SilentServices {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        for program in ["deb-systemd-invoke", "invoke-rc.d"] {
            let path = directory.path().join(program);
            fs::write(&path, "#!/bin/sh\nexit 0\n")?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self(directory))
    }

    fn dpkg_path(&self) -> String {
        format!("DPkg::Path={}:/usr/sbin:/usr/bin:/sbin:/bin", self.0.path().display())
    }
}

/// Makes or renews the Python environment if it is not what the requirements say.
fn python_environment(root: &Path) -> Result<()> {
    let requirements = root.join(REQUIREMENTS);
    let file = File::open(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    // Two of us in one workspace: the second waits, and then finds it made.
    file.lock().context("cannot lock the Python requirements")?;

    let wanted = fs::read_to_string(&requirements)?;
    let environment = root.join(".venv");
    let marker = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if python.exists() && fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("making the Python environment {}", environment.display());
    cargo::run(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(&environment))?;
    cargo::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .arg("--requirement")
            .arg(&requirements)
            .stdin(Stdio::null()),
    )?;
    // Last: an environment without it is made again.
    fs::write(&marker, wanted).context("cannot finish the Python environment")
}

/// What the tests need of Debian's.
const PACKAGES: [&str; 6] =
    ["faketime", "logrotate", "python3-qpid-proton", "python3-venv", "rabbitmq-server", "strace"];

/// What the benchmarks need besides: a peer in C. Those in Python are what the tests have.
const BENCH_PACKAGES: [&str; 3] = ["gcc", "libc6-dev", "librabbitmq-dev"];

/// Beside the programs that need them.
const REQUIREMENTS: &str = "tests/testbed/src/broker/python/requirements.txt";

/// Debian's own, the one that `python3-venv` is for.
const PYTHON: &str = "/usr/bin/python3";

/// Another installation may be going on.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";
