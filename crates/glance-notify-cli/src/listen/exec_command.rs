//! The command of `--exec`: a shell runs it, and it gets notifications on its standard input only.
//!
//! Nothing of a notification is ever an argument or a variable: a name of an image cannot become a
//! command.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use glance_notify::config::Layers;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// A command that handles notifications.
#[derive(Clone, Debug)]
pub(crate) struct ExecCommand {
    pub(super) text: String,
    /// The longest time that one run may take.
    pub(super) timeout: Duration,
}

impl ExecCommand {
    /// Runs the command with `input` on its standard input, and waits for its end.
    ///
    /// The command does not inherit the variables that set options.
    ///
    /// A command may end without reading all of its input. After the timeout, kills the command with all
    /// processes of its group.
    ///
    /// # Errors
    ///
    /// Returns the reason if the command cannot start, does not exit with 0, or takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the command with all processes of its group.
    pub(super) async fn run(&self, input: Vec<u8>) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.text).stdin(Stdio::piped()).process_group(0);
        // They may hold the password of the broker, which no child needs.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(Layers::PREFIX.as_bytes()) {
                command.env_remove(name);
            }
        }
        let child = command
            .spawn()
            .map_err(|error| format!("the command of `--exec` cannot start: {error}"))?;
        let mut group = ProcessGroup(child);
        let stdin = group.0.stdin.take();
        let run = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // A closed pipe: the command wants no more.
                    drop(stdin.write_all(&input).await);
                }
            };
            // Together, because the command may wait for its end of input, or end before it.
            let ((), status) = tokio::join!(write, group.0.wait());
            status
        };
        match tokio::time::timeout(self.timeout, run).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(describe(status)),
            Ok(Err(error)) => Err(format!("cannot wait for the command of `--exec`: {error}")),
            Err(_) => Err(format!(
                "the command of `--exec` did not end within {} s: it was killed (see `--exec-timeout`)",
                self.timeout.as_secs_f64()
            )),
        }
    }
}

/// A running command, which is killed with its whole group when this is dropped.
struct ProcessGroup(Child);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The id is gone once the command was waited for.
        let id = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            // The group may have ended meanwhile.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Returns how a command failed.
fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("the command of `--exec` exited with code {code}"),
        None => format!("the command of `--exec` ended by a signal ({status})"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn run(text: &str, input: &[u8], timeout: Duration) -> Result<(), String> {
        ExecCommand { text: text.to_owned(), timeout }.run(input.to_vec()).await
    }

    /// The command gets the whole input, and may also leave it unread.
    #[tokio::test]
    async fn the_command_gets_its_input() {
        let long = Duration::from_secs(60);
        let input = vec![b'x'; 1 << 20];
        assert_eq!(run("test $(wc -c) = 1048576", &input, long).await, Ok(()));
        assert_eq!(run("true", &input, long).await, Ok(()));
        assert_eq!(
            run("exit 7", b"", long).await.unwrap_err(),
            "the command of `--exec` exited with code 7"
        );
        assert!(run("kill -9 $$", b"", long).await.unwrap_err().contains("ended by a signal"));
    }

    /// A command that hangs is killed with its children, which hold the pipe to standard output otherwise.
    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id");
        let text = format!("sleep 600 & echo $! > {}; wait", file.display());
        let error = run(&text, b"", Duration::from_secs(5)).await.unwrap_err();
        assert!(error.starts_with("the command of `--exec` did not end within 5 s"), "{error}");
        let child = std::fs::read_to_string(&file).unwrap();
        let start = Instant::now();
        // A killed process is a zombie until init waits for it.
        let is_alive = || {
            let status = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        while is_alive() {
            assert!(start.elapsed() < Duration::from_secs(60), "the child is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
