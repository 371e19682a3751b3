//! `cargo xtask brokers rabbitmq4`: runs the tests of the brokers with RabbitMQ 4.
//!
//! Debian 12 has RabbitMQ 3.10, and Debian 13 has RabbitMQ 4. This command installs Debian 13 into a
//! directory and runs the project's own tests in it: they find its RabbitMQ and its Python by the same
//! paths. The programs of the tests are built outside, where the compiler is.
//!
//! Needs root, for `chroot` and for mounts, which exist only for the command's own processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::{self, cargo, root};
use crate::debian;

/// Runs the tests of [`PACKAGES`] on the broker with this name. Passes `extra` on to `cargo test`.
///
/// # Errors
///
/// When the name is unknown, the system cannot be installed, or a test fails.
pub(crate) fn run(name: &str, extra: &[String]) -> Result<()> {
    if name != "rabbitmq4" {
        bail!("unknown broker `{name}`: use `rabbitmq4`");
    }
    let system =
        debian::install("debian-trixie", "trixie", &["ca-certificates", "gcc", "libc6-dev"])?;
    let test = ["test", "--all-features"];
    cargo::run(cargo(&test).args(package_options()).arg("--no-run"))?;
    cargo::run(enter(&system)?.args(["cargo", "xtask", "setup", "--brokers"]))?;
    let mut command = enter(&system)?;
    command.arg("cargo").args(test).arg("--no-fail-fast").args(package_options()).args(extra);
    // The names of tests say which of them only one version can pass.
    cargo::run(command.args(["--", "--include-ignored", "--skip", "rabbitmq3"]))
}

/// Returns a command that runs its arguments in `system`, at the root of the workspace.
///
/// The workspace, the compiler and cargo's directory are the same as outside. The Python environment
/// is one of its own, because it belongs to the system's Python.
fn enter(system: &Path) -> Result<Command> {
    let rust = cargo::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let rust = PathBuf::from(rust.trim());
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    let target = cargo::target_directory()?;
    let shared = [Path::new("/proc"), Path::new("/dev"), &root(), &rust, &cargo_home, &target];
    let shared: Vec<_> = shared.iter().map(|path| path.display().to_string()).collect();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-euc", ENTER, "enter"])
        .env("SYSTEM", system)
        .env("WORKSPACE", root())
        .env("SHARED", shared.join("\n"))
        .env("CARGO_HOME", cargo_home)
        .env("CARGO_TARGET_DIR", target)
        .env("PATH", format!("{}/bin:/usr/sbin:/usr/bin:/sbin:/bin", rust.display()))
        .stdin(Stdio::null());
    Ok(command)
}

fn package_options() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().flat_map(|package| ["-p", package])
}

/// The packages with tests on RabbitMQ.
const PACKAGES: [&str; 3] = ["notify-rabbit", "notify-qpid", "notify-interop"];

/// Mounts the shared directories in the system, and runs the arguments there.
const ENTER: &str = r#"
cp /etc/hosts /etc/resolv.conf "$SYSTEM/etc/"
# A proxy of this network may have a certificate that only this machine trusts.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$SYSTEM/etc/ssl/certs/"
fi
IFS='
'
for path in $SHARED; do
    mkdir -p "$SYSTEM$path"
    mount --rbind "$path" "$SYSTEM$path"
done
mkdir -p "$SYSTEM/var/lib/python" "$SYSTEM$WORKSPACE/.venv"
mount --bind "$SYSTEM/var/lib/python" "$SYSTEM$WORKSPACE/.venv"
exec chroot "$SYSTEM" env --chdir="$WORKSPACE" "$@"
"#;
