//! Shared helpers: a temporary directory in which the command runs, and sample input.
//!
//! The tests run the real binary as a child process. They see what a user or a script
//! sees: files, standard output, standard error and the exit code.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The life of one image and one task, with each event type once: 11 lines.
pub(crate) const LIFECYCLE: &str = include_str!("../../../../docs/samples/image-lifecycle.jsonl");

/// A temporary directory of one test, in which the command runs.
///
/// Dropping it removes the directory.
pub(crate) struct Sandbox {
    pub(crate) dir: TempDir,
}

/// The exit code and the output of a finished command.
pub(crate) struct CommandOutput {
    /// The exit code, or `None` after a signal death.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Sandbox {
    /// Creates an empty directory.
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Returns the absolute path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and returns its name for use as an argument.
    pub(crate) fn file<'a>(&self, name: &'a str, content: impl AsRef<[u8]>) -> &'a str {
        fs::write(self.path(name), content).unwrap();
        name
    }

    /// Writes a file that only its owner can read, as one with a password must be.
    pub(crate) fn private_file(&self, name: &str, content: impl AsRef<[u8]>) {
        self.file(name, content);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Creates an empty file for the output of a process.
    pub(crate) fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap()
    }

    /// Returns the content of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the command, ready to run in the directory with an empty environment and
    /// empty standard input.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glance-notify"));
        command.args(args).current_dir(&self.dir).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs the command to its end with empty standard input.
    ///
    /// Panics if the binary cannot start.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> CommandOutput {
        self.command(args).output().unwrap().into()
    }

    /// Runs the command to its end with `input` on standard input.
    ///
    /// A thread writes the input, so that a command that writes much before it has read
    /// everything cannot block.
    pub(crate) fn pipe<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: impl AsRef<[u8]> + Send,
    ) -> CommandOutput {
        let mut command = self.command(args);
        let mut child = spawn_piped(&mut command);
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|threads| {
            // A command that stops before it has read everything may break this pipe.
            threads.spawn(move || drop(stdin.write_all(input.as_ref())));
            child.wait_with_output().unwrap()
        });
        output.into()
    }

    /// Returns the number of lines of a file, or 0 if it does not exist yet.
    ///
    /// Use it in [`wait_until`], while a process still writes the file.
    pub(crate) fn lines_of(&self, name: &str) -> usize {
        fs::read(self.path(name))
            .map_or(0, |content| content.split(|&byte| byte == b'\n').count() - 1)
    }

    /// Returns the lines of a file as JSON values.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        values(&self.read(name))
    }
}

impl CommandOutput {
    /// Asserts the exit code, and that the command did not panic.
    ///
    /// A failed assertion shows both outputs of the command.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Asserts the exit code, and that standard error contains `text`.
    #[track_caller]
    pub(crate) fn expect_message(self, code: i32, text: &str) -> Self {
        let output = self.expect(code);
        assert!(output.err.contains(text), "expected {text:?} in:\n{}", output.err);
        output
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A user without any permissions, so that the modes of files count.
pub(crate) struct UnprivilegedUser {
    /// The copied program, if the test runs as root: the program of the build may lie below a directory
    /// that only root may enter.
    program: Option<TempDir>,
}

impl UnprivilegedUser {
    /// The id of that user on every Linux.
    const ID: u32 = 65_534;

    /// Copies the program if the test runs as root. Otherwise, the user of the test is unprivileged enough.
    pub(crate) fn new() -> Self {
        let program = rustix::process::getuid().is_root().then(|| {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            copy_program(Path::new(env!("CARGO_BIN_EXE_glance-notify")), &dir.path().join("copy"));
            dir
        });
        Self { program }
    }

    /// Runs the command to its end as this user, to whom the directory of the test then belongs.
    pub(crate) fn run<'a>(
        &self,
        sandbox: &Sandbox,
        args: impl IntoIterator<Item = &'a str>,
    ) -> CommandOutput {
        let Some(program) = &self.program else { return sandbox.run(args) };
        let id = Self::ID.to_string();
        let chown = Command::new("chown").args(["-R", &id]).arg(sandbox.dir.path()).status();
        assert!(chown.unwrap().success());
        let mut command = Command::new(program.path().join("copy"));
        command.args(args).current_dir(&sandbox.dir).env_clear().stdin(Stdio::null());
        command.uid(Self::ID).output().unwrap().into()
    }
}

/// Returns the names of every subcommand with its `--help`, and those of the whole command first.
///
/// Finds the subcommands in the help itself, so that a test over them covers new ones.
pub(crate) fn help_pages() -> Vec<(String, String)> {
    let mut paths = vec![String::new()];
    let mut pages = Vec::new();
    while let Some(path) = paths.pop() {
        let help = Sandbox::new().run(path.split_whitespace().chain(["--help"])).expect(0).out;
        let subcommands = help.split_once("\nCommands:\n").map(|(_, commands)| commands);
        let subcommands = subcommands.and_then(|commands| commands.split("\n\n").next());
        for line in subcommands.into_iter().flat_map(str::lines) {
            let name = line.split_whitespace().next().filter(|_| line.starts_with("  "));
            // Continuation lines of a description are indented further.
            let name = name.filter(|name| !line.starts_with("   ") && *name != "help");
            paths.extend(name.map(|name| format!("{path} {name}").trim().to_owned()));
        }
        pages.push((path, help));
    }
    pages
}

/// The arguments that deliver to the file `n.log`. They turn the sync off, because these
/// tests do not test the disk.
pub(crate) const LOG: [&str; 6] =
    ["--set", "strategy=log", "--set", "log.file=n.log", "--set", "log.sync=false"];

/// Returns the arguments of an `emit` to the file `n.log`, followed by `args`.
pub(crate) fn emit<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["emit"][..], &LOG, args].concat()
}

/// Starts a command with pipes for all three standard streams.
pub(crate) fn spawn_piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Decodes each line as a JSON value.
///
/// Panics with the line that is not JSON.
pub(crate) fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Returns the `message_id` of each value.
pub(crate) fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message_id"].as_str().unwrap()).collect()
}

/// Returns a line of input: an event with `text` as its payload.
///
/// The text identifies the line in the output of the command.
pub(crate) fn line(text: &str) -> String {
    let payload = serde_json::to_string(text).unwrap();
    format!(r#"{{"event_type":"image.upload","priority":"ERROR","payload":{payload}}}"#) + "\n"
}

/// Adds arguments to `command`: a spool, and behind it a broker that refuses connections.
///
/// The spool accepts messages and keeps them pending.
pub(crate) fn spooled<'a>(command: &[&'a str]) -> Vec<&'a str> {
    // No process listens on port 1.
    let unreachable = ["--set", "strategy=rabbit", "--set", "rabbit.url=amqp://127.0.0.1:1"];
    [command, &unreachable, &SPOOL].concat()
}

/// The arguments that set the spool's directory.
pub(crate) const SPOOL: [&str; 2] = ["--set", "spool.dir=spool"];

/// Copies a program that the test will run.
///
/// Another process does it. The kernel refuses to run a file that is open for writing, and a child that
/// another thread starts meanwhile would inherit such a file from this process.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// Returns the writing end of a pipe whose reader is closed.
pub(crate) fn broken_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Sends a signal such as `TERM` to a child process.
pub(crate) fn send_signal(signal: &str, child: &Child) {
    let command = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

/// Waits up to 60 s until a condition holds.
///
/// # Panics
///
/// Panics with `event` if the condition does not hold in time.
#[track_caller]
pub(crate) fn wait_until(event: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "timed out waiting until {event}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
