//! A directory and the processes that run in it, which end together.
//!
//! Servers start helpers, and helpers daemons; some leave their process group. What all of them keep
//! is their environment, so a variable in it marks whoever belongs to a sandbox.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::wait_until;

/// Ends its processes and removes its directory when it is dropped, or when this process ends in any
/// other way, be it `kill -9`.
#[derive(Debug)]
pub struct Sandbox {
    directory: TempDir,
    watchdog: Child,
}

impl Sandbox {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// When there is no temporary directory or no shell.
    #[expect(clippy::new_without_default, reason = "it is not a value: it makes a directory")]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("notify-test-")
            .tempdir()
            .expect("cannot make a temporary directory");
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .arg(mark(directory.path()))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What interrupts the test from the keyboard must not interrupt it.
            .process_group(0)
            .spawn()
            .expect("cannot start a shell");
        Self { directory, watchdog }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A program that will run in this sandbox, with nothing of the environment of this process.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.path())
            .env(MARK, self.path())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn end(&self) {
        wait_until("the processes of a sandbox end", || {
            let processes = processes(self.path());
            for process in &processes {
                // It may have ended by itself.
                let _ = kill_process(*process, Signal::KILL);
            }
            processes.is_empty()
        });
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end();
        // Nothing is left to do for it but to remove the directory, which is about to happen here.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// The processes that run in the sandbox of this directory.
pub(crate) fn processes(directory: &Path) -> Vec<Pid> {
    let mark = mark(directory);
    let belongs = |environment: &PathBuf| {
        // Those of others cannot be read.
        fs::read(environment)
            .is_ok_and(|variables| variables.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
    };
    fs::read_dir("/proc")
        .expect("cannot read /proc")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            belongs(&entry.path().join("environ")).then(|| Pid::from_raw(id))?
        })
        .collect()
}

fn mark(directory: &Path) -> String {
    format!("{MARK}={}", directory.display())
}

const MARK: &str = "NOTIFY_SANDBOX";

/// Waits until nobody holds the other end of its input, then does what dropping would have done.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
read -r _
for round in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(grep -lzsxF -e "$0" /proc/[0-9]*/environ | cut -d/ -f3)
    [ -n "$pids" ] || break
    kill -9 $pids
    sleep 0.2
done
rm -rf "$1"
"#;

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn what_runs_in_a_sandbox_ends_with_it() {
        let sandbox = Sandbox::new();
        let directory = sandbox.path().to_owned();
        // A daemon of a daemon, in a session of its own.
        let status = sandbox
            .command("/bin/sh")
            .args(["-c", "setsid sh -c 'sleep 1000 & exec sleep 2000' & "])
            .status()
            .unwrap();
        assert!(status.success());
        wait_until("both run", || processes(&directory).len() == 2);

        drop(sandbox);
        assert_eq!(processes(&directory), []);
        assert!(!directory.exists());
    }

    /// Run once more as the owner, in a process that can be killed.
    #[test]
    fn what_runs_in_a_sandbox_ends_when_its_owner_is_killed() {
        if std::env::var_os("NOTIFY_SANDBOX_OWNER").is_some() {
            let sandbox = Sandbox::new();
            let mut process = sandbox.command("/bin/sleep").arg("1000").spawn().unwrap();
            println!("\n{}", sandbox.path().display());
            process.wait().unwrap();
            return;
        }
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "what_runs_in_a_sandbox_ends_when_its_owner_is_killed"])
            .env("NOTIFY_SANDBOX_OWNER", "yes")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
        let directory = lines.map(PathBuf::from).find(|line| line.is_absolute()).unwrap();
        wait_until("it runs", || processes(&directory).len() == 1);

        owner.kill().unwrap();
        owner.wait().unwrap();
        wait_until("the watchdog ends it", || processes(&directory).is_empty());
        wait_until("the watchdog removes the directory", || !directory.exists());
    }
}
