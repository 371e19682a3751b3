//! `cargo xtask setup`: installs the programs that the tests need and the machine lacks.
//!
//! These are Debian packages, a Python environment and axe-core, the accessibility checker. The
//! environment is in `.venv` at the root of the workspace, where the tests find it independently of the
//! target directory and the home directory. axe-core lies in there too: its licence (MPL-2.0) allows to run
//! it, and the project need not pass it on. The setup starts and stops no service and disables RabbitMQ's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, root};

/// Installs what the tests need. Returns quickly when nothing is missing.
///
/// # Errors
///
/// When something is missing and cannot be installed.
pub(crate) fn run() -> Result<()> {
    packages(&[BROWSER_PACKAGES.as_slice(), &PACKAGES].concat())?;
    axe_core(&python_programs()?.join("axe-core").join(AXE_CORE))
}

/// Installs what the tests of the brokers need: no browser.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_for_brokers() -> Result<()> {
    packages(&PACKAGES)?;
    python_programs()?;
    Ok(())
}

/// Installs the Python environment with everything that the tests run in it, and returns its directory.
fn python_programs() -> Result<PathBuf> {
    let root = root();
    let environment = root.join(".venv");
    let python = python_environment(&environment, &root.join(REQUIREMENTS))?;
    for version in OLD_OSLO_MESSAGING {
        old_oslo_messaging(&python, &environment.join("oslo.messaging").join(version), version)?;
    }
    Ok(environment)
}

/// Installs the accessibility checker from the npm registry. Runs none of its scripts.
fn axe_core(directory: &Path) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    let has_npm = Command::new("npm").arg("--version").stdout(Stdio::null()).status();
    if !has_npm.is_ok_and(|status| status.success()) {
        packages(&["npm"])?;
    }
    println!("installing axe-core {AXE_CORE} into {}", directory.display());
    let partial = directory.with_extension(format!("{}.partial", std::process::id()));
    fs::create_dir_all(&partial)?;
    cargo::run(
        Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefix",
            ])
            .arg(&partial)
            .arg(format!("axe-core@{AXE_CORE}"))
            .stdin(Stdio::null()),
    )?;
    complete(&partial, directory)
}

/// Installs an old version of oslo.messaging beside the environment, without its dependencies.
fn old_oslo_messaging(python: &Path, directory: &Path, version: &str) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    println!("installing oslo.messaging {version} into {}", directory.display());
    let partial = directory.with_extension(format!("{}.partial", std::process::id()));
    cargo::run(
        Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--no-deps", "--target"])
            .arg(&partial)
            .arg(format!("oslo.messaging=={version}"))
            .stdin(Stdio::null()),
    )?;
    complete(&partial, directory)
}

/// Gives a complete installation its name. Another run may have been faster.
fn complete(partial: &Path, directory: &Path) -> Result<()> {
    match fs::rename(partial, directory) {
        Ok(()) => Ok(()),
        Err(_) if directory.exists() => fs::remove_dir_all(partial).context("cannot clean up"),
        Err(error) => Err(error)
            .with_context(|| format!("cannot finish the installation in {}", directory.display())),
    }
}

/// Does what [`run`] does, and installs what the peers of the benchmarks need.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_for_benchmarks() -> Result<()> {
    packages(&BENCH_PACKAGES)?;
    run()
}

/// Installs the Debian packages of the list that are missing.
///
/// # Errors
///
/// When a package is missing and cannot be installed.
pub(crate) fn packages(packages: &[&str]) -> Result<()> {
    install_packages(&missing(packages)?)
}

/// Returns the packages of the list that are not installed.
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
    println!("installing with apt-get: {}", packages.join(", "));
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

    let blocker = ServiceBlocker::new()?;
    cargo::run(command("apt-get").args(["--quiet", "--option", LOCK_TIMEOUT, "update"]))?;
    cargo::run(
        command("env")
            .arg("DEBIAN_FRONTEND=noninteractive")
            .args(["apt-get", "--quiet", "--yes", "--no-install-recommends"])
            .args(["--option", LOCK_TIMEOUT, "--option", &blocker.dpkg_path()])
            .arg("install")
            .args(packages),
    )?;
    if packages.contains(&"rabbitmq-server") {
        // Debian enables a service when it installs one. The tests start nodes of their own.
        cargo::run(command("update-rc.d").args(["rabbitmq-server", "disable"]))?;
    }
    Ok(())
}

/// Returns the program that makes other programs run as root, or `None` for root itself.
fn elevation() -> Result<Option<&'static str>> {
    let output = Command::new("id").arg("--user").output().context("cannot run `id`")?;
    if output.stdout.trim_ascii() == b"0" {
        return Ok(None);
    }
    let sudo =
        Command::new("sudo").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !sudo.is_ok_and(|status| status.success()) {
        bail!("packages are missing: run this command as root, or install `sudo`");
    }
    Ok(Some("sudo"))
}

/// A directory at the head of the path of the packages' scripts. Its programs replace those that start
/// services, and do nothing.
///
/// A `policy-rc.d` file would have the same effect, but would remain if this program were killed.
struct ServiceBlocker(tempfile::TempDir);

impl ServiceBlocker {
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

/// Creates a Python environment with the packages of `list`, or creates it again if the list has
/// changed. Returns the environment's interpreter.
///
/// # Errors
///
/// When the environment cannot be created.
pub(crate) fn python_environment(environment: &Path, list: &Path) -> Result<PathBuf> {
    let file = File::open(list).with_context(|| format!("cannot read {}", list.display()))?;
    // A second run in the same workspace waits here and then finds the environment complete.
    file.lock().context("cannot lock the Python requirements")?;

    let requirements = fs::read_to_string(list)?;
    let marker = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if python.exists()
        && fs::read_to_string(&marker).is_ok_and(|installed| installed == requirements)
    {
        return Ok(python);
    }
    println!("creating the Python environment {}", environment.display());
    python_packages(environment, &[OsStr::new("--requirement"), list.as_os_str()])?;
    // Last, because an environment without this file is incomplete.
    fs::write(&marker, requirements).context("cannot finish the Python environment")?;
    Ok(python)
}

/// Creates a Python environment and installs into it what the arguments of `pip install` name.
///
/// # Errors
///
/// When the environment cannot be created, or pip fails.
pub(crate) fn python_packages(environment: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    cargo::run(Command::new(PYTHON).args(["-m", "venv", "--clear"]).arg(environment))?;
    cargo::run(
        Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(arguments)
            .stdin(Stdio::null()),
    )
}

/// The Debian packages that the tests of the web pages need.
const BROWSER_PACKAGES: [&str; 3] = [
    "chromium",
    "chromium-driver",
    // Screenshots look the same on every machine.
    "fonts-dejavu-core",
];

/// The Debian packages that the other tests need.
const PACKAGES: [&str; 11] = [
    "e2fsprogs",
    "faketime",
    "iproute2",
    "logrotate",
    "openssl",
    // `kill`, as a program.
    "procps",
    "python3-qpid-proton",
    "python3-venv",
    "rabbitmq-server",
    "strace",
    "systemd",
];

/// The Debian packages that the benchmarks need besides, for their peers.
const BENCH_PACKAGES: [&str; 4] = ["gcc", "jq", "libc6-dev", "librabbitmq-dev"];

/// The list of Python packages, beside the programs that need them.
const REQUIREMENTS: &str = "tests/testbed/src/broker/python/requirements.txt";

/// The versions of oslo.messaging that old configuration files were written for. The tests compare our
/// reading of such files with theirs.
const OLD_OSLO_MESSAGING: [&str; 2] = ["2.5.0", "5.35.6"];

/// The version of the accessibility checker. The tests find it by this name.
const AXE_CORE: &str = "4.14.1";

/// Debian's interpreter, because `python3-venv` belongs to it.
const PYTHON: &str = "/usr/bin/python3";

/// Waits for another installation to finish.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=300";
