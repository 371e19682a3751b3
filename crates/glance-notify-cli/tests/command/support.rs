//! What the tests share: a directory, the command run in it, and its samples.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A life of one image and one task: every event once.
pub(crate) const LIFECYCLE: &str = include_str!("../../../../docs/samples/image-lifecycle.jsonl");

/// A directory of a test's own, in which the command is run.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

/// How the command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and returns its name.
    pub(crate) fn file<'a>(&self, name: &'a str, content: impl AsRef<[u8]>) -> &'a str {
        fs::write(self.path(name), content).unwrap();
        name
    }

    /// Creates a file for a process to write to.
    pub(crate) fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command in this directory, without this process's environment.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glance-notify"));
        command.args(args).current_dir(&self.dir).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs the command to its end, with nothing on standard input.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// Runs the command to its end with `input` on standard input.
    pub(crate) fn pipe<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: impl AsRef<[u8]> + Send,
    ) -> Ended {
        let mut command = self.command(args);
        let mut child = piped(&mut command);
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|threads| {
            // A command that ends before it has read everything breaks this pipe, as it may.
            threads.spawn(move || drop(stdin.write_all(input.as_ref())));
            child.wait_with_output().unwrap()
        });
        output.into()
    }

    /// How many lines a file has, which may not exist yet.
    pub(crate) fn lines_of(&self, name: &str) -> usize {
        fs::read(self.path(name))
            .map_or(0, |content| content.split(|&byte| byte == b'\n').count() - 1)
    }

    /// The log's lines as values.
    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        values(&self.read(name))
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Expects an exit code, and a text on standard error.
    #[track_caller]
    pub(crate) fn says(self, code: i32, text: &str) -> Self {
        let ended = self.expect(code);
        assert!(ended.err.contains(text), "expected {text:?} in:\n{}", ended.err);
        ended
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The arguments that log to a file, unsynced: what is tested is not the disk.
pub(crate) const LOG: [&str; 6] =
    ["--set", "strategy=log", "--set", "log.file=n.log", "--set", "log.sync=false"];

/// `emit` to a file with further arguments.
pub(crate) fn emit<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["emit"][..], &LOG, args].concat()
}

/// Starts a command with pipes to and from it.
pub(crate) fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

pub(crate) fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message_id"].as_str().unwrap()).collect()
}

/// A line of input with a text for payload.
pub(crate) fn line(text: &str) -> String {
    let payload = serde_json::to_string(text).unwrap();
    format!(r#"{{"event_type":"image.upload","priority":"ERROR","payload":{payload}}}"#) + "\n"
}

/// A spool before a broker that is not there.
pub(crate) fn spooled<'a>(command: &[&'a str]) -> Vec<&'a str> {
    // On the lowest port nobody listens.
    let away = ["--set", "strategy=rabbit", "--set", "rabbit.url=amqp://127.0.0.1:1"];
    [command, &away, &SPOOL].concat()
}

/// The arguments that name a spool.
pub(crate) const SPOOL: [&str; 2] = ["--set", "spool.dir=spool"];

/// Sends a signal to a command.
pub(crate) fn send(signal: &str, child: &Child) {
    let command = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
