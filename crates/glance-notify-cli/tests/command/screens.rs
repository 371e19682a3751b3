//! What you see on a real terminal, 80 and 40 columns wide: colours, tables that fit, and a progress line that
//! no other line tears.
//!
//! Each test runs the command on a pseudo-terminal and reads the screen with a terminal emulator. The screens
//! are in `snapshots/`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{LIFECYCLE, Sandbox, emit, line, spooled, wait_until};

/// A command that runs on a pseudo-terminal of its own.
struct TerminalRun {
    child: Child,
    /// The side of the pseudo-terminal that a person would sit at.
    keyboard: File,
    /// Everything that the command has written so far.
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    columns: u16,
    /// The name of the directory, which differs between runs.
    dir: String,
}

/// Returns a directory whose path has the same length on every machine.
fn sandbox() -> Sandbox {
    Sandbox { dir: tempfile::tempdir_in("/tmp").unwrap() }
}

impl TerminalRun {
    /// Starts the command with all three standard streams on a terminal, or standard output on `stdout`.
    fn start(sandbox: &Sandbox, columns: u16, args: &[&str], stdout: Option<Stdio>) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let terminal =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 60, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let terminal = File::from(terminal);
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = sandbox.command(args);
        command.env("TERM", "xterm-256color").stdin(stream()).stderr(stream());
        command.stdout(stdout.unwrap_or_else(stream));
        let child = command.spawn().unwrap();
        drop((command, terminal));
        let keyboard = File::from(controller);
        let written = Arc::new(Mutex::new(Vec::new()));
        let reader = std::thread::spawn({
            let (mut screen, written) = (keyboard.try_clone().unwrap(), Arc::clone(&written));
            move || {
                let mut buffer = [0; 4096];
                // Linux reports the end as an error.
                while let Ok(count @ 1..) = screen.read(&mut buffer) {
                    written.lock().unwrap().extend_from_slice(&buffer[..count]);
                }
            }
        });
        let dir = sandbox.dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        Self { child, keyboard, written, reader, columns, dir }
    }

    /// Returns the screen at the moment, without trailing spaces and empty lines at its end.
    fn screen(&self) -> String {
        let bytes = self.written.lock().unwrap().clone();
        // The parts that differ between runs are replaced by parts of the same width.
        let text = String::from_utf8_lossy(&bytes).replace(&self.dir, &"D".repeat(self.dir.len()));
        let mut parser = vt100::Parser::new(60, self.columns, 0);
        parser.process(without_times(&text).as_bytes());
        let rows = parser.screen().rows(0, self.columns).map(|row| row.trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Waits for the end of the command and returns its exit code and the last screen.
    fn finish(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        // The reader ends once no process has the terminal open.
        let (reader, columns, written, dir) = (self.reader, self.columns, self.written, self.dir);
        reader.join().unwrap();
        let spare = std::thread::spawn(|| {});
        let run = Self {
            child: self.child,
            keyboard: self.keyboard,
            written,
            reader: spare,
            columns,
            dir,
        };
        (code, run.screen())
    }
}

/// Replaces times such as `2026-11-22T12:00:31Z` by one fixed time.
fn without_times(text: &str) -> String {
    const TIME: &str = "2026-11-22T12:00:31Z";
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let shape = |(have, want): (char, char)| {
            have == want || (have.is_ascii_digit() && want.is_ascii_digit())
        };
        let is_time = rest.is_char_boundary(TIME.len().min(rest.len()))
            && rest.len() >= TIME.len()
            && rest.chars().zip(TIME.chars()).all(shape);
        out.push_str(if is_time { TIME } else { &rest[..c.len_utf8()] });
        rest = &rest[if is_time { TIME.len() } else { c.len_utf8() }..];
    }
    out
}

/// Runs the command to its end and returns the screen, after the check that every line fits.
#[track_caller]
fn screen_of(sandbox: &Sandbox, columns: u16, args: &[&str], code: i32) -> String {
    let (result, screen) = TerminalRun::start(sandbox, columns, args, None).finish();
    assert_eq!(result, Some(code), "{screen}");
    screen
}

/// D10: the progress line stays the last line: a warning of the log appears above it, whole.
#[test]
fn d10_no_log_line_tears_the_progress_line() {
    for columns in [80, 40] {
        let sandbox = sandbox();
        symlink("n.log", sandbox.path("n.log")).unwrap();
        let input = sandbox.file("in.jsonl", LIFECYCLE);
        let run = TerminalRun::start(&sandbox, columns, &emit(&[input]), None);
        let mut screen = String::new();
        wait_until("the warning and the progress are on the screen", || {
            screen = run.screen();
            // A narrow terminal breaks the line anywhere.
            let line = screen.replace('\n', "");
            line.contains("delivery failed, retrying") && line.contains("11 pending")
        });
        let last = screen.lines().last().unwrap();
        assert!(last.starts_with("0 %: 0 delivered, 11 pending"), "{screen}");
        insta::assert_snapshot!(format!("waiting_{columns}_columns"), screen);
        fs::remove_file(sandbox.path("n.log")).unwrap();
        let (code, screen) = run.finish();
        assert_eq!(code, Some(0), "{screen}");
        assert!(!screen.contains(" delivered, "), "the progress line is gone: {screen}");
        insta::assert_snapshot!(format!("delivered_{columns}_columns"), screen);
    }
}

/// D10: where the end of the input is known, the progress line has the percentage, the time left and the rate.
///
/// A pipe that is read slowly stands for a slow destination.
#[test]
fn d10_progress_has_percentage_time_left_and_rate() {
    let sandbox = sandbox();
    let input = sandbox.file("in.jsonl", line("a").repeat(200_000));
    let args = ["emit", "--set", "strategy=log", "--set", "log.target=stdout"];
    let args = [&args[..], &["--set", "queue.max_messages=100", input]].concat();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut run = TerminalRun::start(&sandbox, 80, &args, Some(writer.into()));
    let mut buffer = vec![0; 64 * 1024];
    wait_until("the progress line is complete", || {
        reader.read_exact(&mut buffer).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let screen = run.screen();
        let last = screen.lines().last().unwrap_or_default().to_owned();
        let (percent, rest) = last.split_once(" %, ").unwrap_or_default();
        let (left, counts) = rest.split_once(" left: ").unwrap_or_default();
        percent.parse::<u8>().is_ok_and(|percent| percent < 100)
            && left.split(' ').next().is_some_and(|left| left.parse::<u32>().is_ok())
            && counts.contains(" delivered, ")
            && counts.ends_with("/s")
    });
    run.child.kill().unwrap();
    drop(reader);
    run.finish();
}

/// D10: `emit` on a terminal says that it waits for you, and `-q` prints errors only.
#[test]
fn d10_emit_on_a_terminal_says_that_it_reads_standard_input() {
    let sandbox = sandbox();
    let run = TerminalRun::start(&sandbox, 80, &emit(&[]), None);
    wait_until("the hint is on the screen", || run.screen().contains("Ctrl-D"));
    // The terminal echoes the line, and Ctrl-D ends the input.
    (&run.keyboard).write_all(line("a").as_bytes()).unwrap();
    (&run.keyboard).write_all(&[4]).unwrap();
    let (code, screen) = run.finish();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.starts_with(
        "glance-notify: reading notifications from standard input, one JSON object a line"
    ));
    assert!(screen.contains("glance-notify: 1 read, 1 delivered by `log`"), "{screen}");
    let sandbox = self::sandbox();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    assert_eq!(screen_of(&sandbox, 80, &emit(&["-q", input]), 0), "");
}

/// Every other command that reads notifications from a terminal says so too.
#[test]
fn commands_on_a_terminal_say_that_they_read_standard_input() {
    for (args, expected) in
        [(&["listen"][..], 1), (&["replay", "--from", "-", "--dry-run"], 0), (&["validate"], 0)]
    {
        let sandbox = sandbox();
        let run = TerminalRun::start(&sandbox, 80, args, None);
        wait_until("the hint is on the screen", || run.screen().contains("Ctrl-D"));
        (&run.keyboard).write_all(&[4]).unwrap();
        let (code, screen) = run.finish();
        assert_eq!(code, Some(expected), "{args:?}: {screen}");
    }
}

/// D10: a permanent error gives one message, not three, and names no module of the program.
#[test]
fn d10_one_failure_gives_one_message() {
    for columns in [80, 40] {
        let sandbox = sandbox();
        let input = sandbox.file("in.jsonl", LIFECYCLE);
        let args = ["emit", "--set", "strategy=log", "--set", "log.file=missing/n.log", input];
        let screen = screen_of(&sandbox, columns, &args, 2);
        assert!(!screen.contains("notify_"), "{screen}");
        let whole = screen.replace('\n', "");
        assert_eq!(whole.matches("create it").count(), 1, "{screen}");
        insta::assert_snapshot!(format!("permanent_error_{columns}_columns"), screen);
    }
}

/// Tables fit the width: columns where they fit, and otherwise one line a field.
#[test]
fn tables_fit_the_width() {
    for columns in [80, 40] {
        let sandbox = sandbox();
        let example = |event_type| sandbox.run(["schema", "--example", event_type]).out;
        let whole = example("image.upload") + &example("task.failure");
        sandbox.pipe(spooled(&["emit"]), whole).expect(0);
        let spool = |args: &[&'static str]| {
            let args = [&["spool"][..], args, &["--set", "spool.dir=spool"]].concat();
            let screen = screen_of(&sandbox, columns, &args, 0);
            // The sizes depend on the format of the spool and on the file system.
            let lines = screen.split('\n').map(|line| {
                let words = line.split(' ').map(|word| {
                    let is_size = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
                    if is_size { "9".repeat(word.len()) } else { word.to_owned() }
                });
                words.collect::<Vec<_>>().join(" ")
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(format!("spool_ls_{columns}_columns"), spool(&["ls"]));
        insta::assert_snapshot!(
            format!("spool_ls_messages_{columns}_columns"),
            spool(&["ls", "--messages"])
        );
        insta::assert_snapshot!(format!("spool_stats_{columns}_columns"), spool(&["stats"]));
    }
}

/// States and priorities have colours on a terminal, unless `NO_COLOR` or `--color never` says otherwise, and
/// elsewhere only with `--color always`.
#[test]
fn colours_follow_the_terminal_and_the_options() {
    let sandbox = sandbox();
    let args = ["check", "--set", "strategy=log", "--set", "log.file=missing/n.log"];
    let raw = |options: &[&str]| {
        let mut run = TerminalRun::start(&sandbox, 80, &[&args[..], options].concat(), None);
        run.child.wait().unwrap();
        wait_until("the finding is on the screen", || run.screen().contains("bad"));
        let bytes = run.written.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    };
    let bad = "\u{1b}[1m\u{1b}[31mbad";
    assert!(raw(&[]).contains(bad), "{:?}", raw(&[]));
    assert!(!raw(&["--color", "never"]).contains('\u{1b}'));
    assert!(!sandbox.run(args).out.contains('\u{1b}'));
    let always = sandbox.run([&args[..], &["--color", "always"]].concat()).out;
    assert!(always.contains(bad), "{always:?}");
    let mut command = sandbox.command([&args[..], &["--color", "auto"]].concat());
    let plain = command.env("NO_COLOR", "1").output().unwrap();
    assert!(!String::from_utf8(plain.stdout).unwrap().contains('\u{1b}'));
}

/// `-v` adds state changes, `--log-format json` makes every line of standard error an object, and `RUST_LOG`
/// chooses where neither `-q` nor `-v` does.
#[test]
fn the_log_follows_its_options() {
    let sandbox = sandbox();
    let input = sandbox.file("in.jsonl", LIFECYCLE);
    let run = |options: &[&str], rust_log: &str| {
        let mut command = sandbox.command(emit(&[options, &[input]].concat()));
        let output = command.env("RUST_LOG", rust_log).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let quiet = run(&["--set", "log.sync=true"], "");
    assert_eq!(quiet, "glance-notify: 11 read, 11 delivered by `log`\n");
    let verbose = run(&["-v"], "");
    assert!(verbose.contains(" info: strategy `log`, publisher id `"), "{verbose}");
    assert_eq!(run(&["-q"], "trace"), "");
    assert!(run(&[], "info").contains(" info: strategy `log`"));
    assert!(run(&[], "a=b=c").contains("the environment variable RUST_LOG is ignored"));
    let json = run(&["-v", "--log-format", "json"], "");
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(json.lines().count() >= 2, "{json}");
}
