//! A temporary directory and the processes that run in it. Both end together.
//!
//! Servers start helpers, helpers start daemons, and some daemons leave their process group. All of
//! them inherit their environment, so an environment variable marks every process of a sandbox.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait::wait_until;

/// A temporary directory with its processes.
///
/// Dropping the sandbox kills the processes and removes the directory. If the current process ends
/// in another way, even by `kill -9`, a watchdog process does the same.
#[derive(Debug)]
pub struct ProcessSandbox {
    directory: TempDir,
    watchdog: Child,
}

impl ProcessSandbox {
    /// Creates an empty sandbox and starts its watchdog.
    ///
    /// # Panics
    ///
    /// Panics if the system offers no temporary directory or no shell.
    #[expect(clippy::new_without_default, reason = "creating a sandbox creates a directory")]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("notify-test-")
            .tempdir()
            .expect("the system offers a temporary directory");
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .arg(mark(directory.path()))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C interrupts the process group of the test. The watchdog must survive it.
            .process_group(0)
            .spawn()
            .expect("the system offers a shell");
        Self { directory, watchdog }
    }

    /// Returns the sandbox's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns a command that runs `program` in this sandbox, with the sandbox's directory as its
    /// home, its working directory and its place for temporary files. The program inherits no variable
    /// of the current process.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .env(MARK, self.path())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Kills the processes until none is left. A dying process may still start another one.
    fn kill_processes(&self) {
        wait_until("the processes of the sandbox end", || {
            let processes = processes_in(self.path());
            for process in &processes {
                // The process may have ended in the meantime.
                let _ = kill_process(*process, Signal::KILL);
            }
            processes.is_empty()
        });
    }
}

impl Drop for ProcessSandbox {
    fn drop(&mut self) {
        self.kill_processes();
        // A process can overwrite the memory of its environment, as those of Chromium do: such a process ends when
        // it misses the others, and writes files until then.
        wait_until("the directory of the sandbox is removed", || {
            fs::remove_dir_all(self.path()).is_ok() || !self.path().exists()
        });
        // The watchdog has nothing left to do.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// Returns the processes that run in the sandbox of `directory`.
pub(crate) fn processes_in(directory: &Path) -> Vec<Pid> {
    let mark = mark(directory);
    let has_mark = |environment: &PathBuf| {
        // Reading fails for the processes of other users.
        fs::read(environment)
            .is_ok_and(|variables| variables.split(|b| *b == 0).any(|v| v == mark.as_bytes()))
    };
    fs::read_dir("/proc")
        .expect("the system has /proc")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            has_mark(&entry.path().join("environ")).then(|| Pid::from_raw(id))?
        })
        .collect()
}

/// Returns the environment variable, with its value, that marks the processes of a sandbox.
fn mark(directory: &Path) -> String {
    format!("{MARK}={}", directory.display())
}

const MARK: &str = "NOTIFY_SANDBOX";

/// A shell script that waits until the other end of its standard input closes, then kills the
/// marked processes and removes the directory.
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

    /// Dropping a sandbox ends daemons too, whatever session they run in.
    #[test]
    fn dropping_a_sandbox_ends_its_processes() {
        let sandbox = ProcessSandbox::new();
        let directory = sandbox.path().to_owned();
        // A daemon that starts a daemon, in a session of its own.
        let status = sandbox
            .command("/bin/sh")
            .args(["-c", "setsid sh -c 'sleep 1000 & exec sleep 2000' & "])
            .status()
            .unwrap();
        assert!(status.success());
        wait_until("both daemons run", || processes_in(&directory).len() == 2);

        drop(sandbox);
        assert_eq!(processes_in(&directory), []);
        assert!(!directory.exists());
    }

    /// The directory is removed too while a process that hides its mark still writes files.
    #[test]
    fn dropping_a_sandbox_waits_for_a_late_writer() {
        let sandbox = ProcessSandbox::new();
        let directory = sandbox.path().to_owned();
        let mut writer = sandbox
            .command("/bin/sh")
            .env_remove(MARK)
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do : > f$i || exit; i=$((i + 1)); done"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the first file is there", || directory.join("f0").exists());

        drop(sandbox);
        assert!(!directory.exists());
        writer.wait().unwrap();
    }

    /// The watchdog cleans up after `kill -9`. The test runs itself again as the owner of a
    /// sandbox, in a process that it can kill.
    #[test]
    fn killing_the_owner_of_a_sandbox_ends_its_processes() {
        if std::env::var_os("NOTIFY_SANDBOX_OWNER").is_some() {
            let sandbox = ProcessSandbox::new();
            let mut process = sandbox.command("/bin/sleep").arg("1000").spawn().unwrap();
            println!("\n{}", sandbox.path().display());
            process.wait().unwrap();
            return;
        }
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "killing_the_owner_of_a_sandbox_ends_its_processes"])
            .env("NOTIFY_SANDBOX_OWNER", "yes")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
        let directory = lines.map(PathBuf::from).find(|line| line.is_absolute()).unwrap();
        wait_until("the process in the sandbox runs", || processes_in(&directory).len() == 1);

        owner.kill().unwrap();
        owner.wait().unwrap();
        wait_until("the watchdog ends the process", || processes_in(&directory).is_empty());
        wait_until("the watchdog removes the directory", || !directory.exists());
    }
}
