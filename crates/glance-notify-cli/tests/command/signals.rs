//! Ctrl-C and SIGTERM during an `emit`: it drains the lines read so far, and reports the
//! rest.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use crate::support::{Sandbox, emit, line, send_signal, wait_until};

/// Starts an `emit` with `lines` lines on a standard input that stays open.
///
/// Standard error goes to the file `err`, so that tests can wait for messages.
fn start(sandbox: &Sandbox, args: &[&str], lines: usize) -> Child {
    let mut command =
        sandbox.command(emit(&[args, &["--acks", "acks", "--failed", "failed"]].concat()));
    let mut child = command.stdin(Stdio::piped()).stderr(sandbox.create("err")).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("a").repeat(lines).as_bytes()).unwrap();
    child.stdin = Some(stdin);
    child
}

/// If everything is delivered, SIGINT and SIGTERM are an orderly end.
///
/// Standard input stays open, as it does when a service manager stops a pipe's reader.
#[test]
fn a_signal_ends_an_idle_emit_with_success() {
    for signal in ["INT", "TERM"] {
        let sandbox = Sandbox::new();
        let mut child = start(&sandbox, &[], 5);
        wait_until("the line is delivered", || sandbox.lines_of("acks") == 5);
        send_signal(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
        assert!(sandbox.read("err").contains("5 read, 5 delivered"), "{}", sandbox.read("err"));
    }
}

/// After SIGTERM, pending messages still arrive if the destination recovers within
/// `queue.drain_timeout`.
///
/// A line that the command has read from the pipe must not vanish with the command.
#[test]
fn a_signal_drains_the_lines_read_so_far() {
    let sandbox = Sandbox::new();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    let mut child = start(&sandbox, &["--set", "queue.drain_timeout=60"], 5);
    wait_until("the first attempt has failed", || {
        sandbox.read("err").contains("delivery failed, retrying")
    });
    send_signal("TERM", &child);
    wait_until("the drain has started", || {
        sandbox.read("err").contains("interrupted: draining for up to 60 s")
    });
    fs::remove_file(sandbox.path("n.log")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
    assert_eq!(sandbox.lines("n.log").len(), 5);
    assert_eq!(sandbox.lines_of("acks"), 5);
}

/// A drain ends after `queue.drain_timeout`, or at a second signal. Both exit with 3 and
/// write the pending messages to `--failed`.
///
/// The exit comes soon enough that a service manager need not kill the process.
#[test]
fn the_drain_timeout_or_a_second_signal_ends_the_drain() {
    for (drain, signals) in [("0.2", 1), ("3600", 2)] {
        let sandbox = Sandbox::new();
        symlink("n.log", sandbox.path("n.log")).unwrap();
        let mut child = start(&sandbox, &["--set", &format!("queue.drain_timeout={drain}")], 5);
        wait_until("the first attempt has failed", || {
            sandbox.read("err").contains("delivery failed, retrying")
        });
        for _ in 0..signals {
            send_signal("INT", &child);
            wait_until("the drain has started", || sandbox.read("err").contains("interrupted"));
        }
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", sandbox.read("err"));
        assert!(
            sandbox.read("err").contains("gave up before everything was delivered\n"),
            "{}",
            sandbox.read("err")
        );
        assert_eq!(sandbox.lines("failed").len(), 5);
        assert_eq!(sandbox.lines_of("acks"), 0);
    }
}

/// The message names the last line read, so that you can continue after it. A file behind `<` is one too.
#[test]
fn reports_the_unread_rest_of_an_interrupted_file() {
    for is_redirected in [false, true] {
        let sandbox = Sandbox::new();
        symlink("n.log", sandbox.path("n.log")).unwrap();
        let input = sandbox.file("in.jsonl", line("a").repeat(100_000));
        let args = ["--set", "queue.max_messages=10", "--set", "queue.drain_timeout=60"];
        let mut command = sandbox.command(emit(&args));
        if is_redirected {
            command.stdin(File::open(sandbox.path(input)).unwrap());
        } else {
            command.arg(input);
        }
        let mut child = command.stderr(sandbox.create("err")).spawn().unwrap();
        wait_until("the first attempt has failed", || {
            sandbox.read("err").contains("delivery failed, retrying")
        });
        send_signal("TERM", &child);
        wait_until("the drain has started", || sandbox.read("err").contains("interrupted"));
        fs::remove_file(sandbox.path("n.log")).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", sandbox.read("err"));
        let read = sandbox.lines("n.log").len();
        assert!(read < 100_000);
        let errors = sandbox.read("err");
        assert!(errors.contains(&format!("the input after line {read} was not read")), "{errors}");
        assert!(errors.contains(&format!("{read} read, {read} delivered")), "{errors}");
    }
}
