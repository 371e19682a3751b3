//! Ctrl-C and SIGTERM: what was read is delivered, and what was not is told.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use crate::support::{Place, emit, line, send, wait_until};

/// `emit` that reads a pipe which stays open, with what it says in the file `err`.
fn start(place: &Place, args: &[&str], lines: usize) -> Child {
    let mut command =
        place.command(emit(&[args, &["--acks", "acks", "--failed", "failed"]].concat()));
    let mut child = command.stdin(Stdio::piped()).stderr(place.create("err")).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("a").repeat(lines).as_bytes()).unwrap();
    child.stdin = Some(stdin);
    child
}

#[test]
fn a_signal_ends_it_when_everything_is_delivered() {
    for signal in ["INT", "TERM"] {
        let place = Place::new();
        let mut child = start(&place, &[], 5);
        wait_until("it is delivered", || place.lines_of("acks") == 5);
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", place.read("err"));
        assert!(place.read("err").contains("5 read, 5 delivered"), "{}", place.read("err"));
    }
}

#[test]
fn a_signal_drains_what_was_read() {
    let place = Place::new();
    symlink("n.log", place.path("n.log")).unwrap();
    let mut child = start(&place, &["--set", "queue.drain_timeout=60"], 5);
    wait_until("it was tried in vain", || place.read("err").contains("delivery failed, retrying"));
    send("TERM", &child);
    wait_until("it drains", || place.read("err").contains("interrupted: delivering what was read"));
    fs::remove_file(place.path("n.log")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", place.read("err"));
    assert_eq!(place.lines("n.log").len(), 5);
    assert_eq!(place.lines_of("acks"), 5);
}

#[test]
fn the_time_to_drain_has_an_end_and_a_second_signal_is_one() {
    for (drain, signals) in [("0.2", 1), ("3600", 2)] {
        let place = Place::new();
        symlink("n.log", place.path("n.log")).unwrap();
        let mut child = start(&place, &["--set", &format!("queue.drain_timeout={drain}")], 5);
        wait_until("it was tried in vain", || {
            place.read("err").contains("delivery failed, retrying")
        });
        for _ in 0..signals {
            send("INT", &child);
            wait_until("it drains", || place.read("err").contains("interrupted"));
        }
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", place.read("err"));
        assert!(place.read("err").contains("gave up: `log.file`"), "{}", place.read("err"));
        assert_eq!(place.lines("failed").len(), 5);
        assert_eq!(place.lines_of("acks"), 0);
    }
}

#[test]
fn a_file_that_was_not_read_to_its_end_is_told() {
    let place = Place::new();
    symlink("n.log", place.path("n.log")).unwrap();
    let input = place.file("in.jsonl", line("a").repeat(100_000));
    let args = ["--set", "queue.max_messages=10", "--set", "queue.drain_timeout=60", input];
    let mut child = place.command(emit(&args)).stderr(place.create("err")).spawn().unwrap();
    wait_until("it was tried in vain", || place.read("err").contains("delivery failed, retrying"));
    send("TERM", &child);
    wait_until("it drains", || place.read("err").contains("interrupted"));
    fs::remove_file(place.path("n.log")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", place.read("err"));
    let read = place.lines("n.log").len();
    assert!(read < 100_000);
    let said = place.read("err");
    assert!(said.contains(&format!("what follows line {read} was not read")), "{said}");
    assert!(said.contains(&format!("{read} read, {read} delivered")), "{said}");
}
