//! Jumps of the system clock.
//!
//! A clock that NTP or an operator sets must change timestamps only. Ages, timeouts and
//! the order of messages come from the monotonic clock.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use crate::support::{Sandbox, emit, line, wait_until};

/// Returns the path of the library that fakes the clock, from Debian's package
/// `faketime`.
fn libfaketime() -> PathBuf {
    let libraries = fs::read_dir("/usr/lib").unwrap().flatten();
    libraries
        .map(|directory| directory.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("no faketime: run `cargo xtask setup`")
}

/// Returns the year in the timestamp of a notification.
fn year(line: &serde_json::Value) -> i32 {
    line["timestamp"].as_str().unwrap()[..4].parse().unwrap()
}

/// The clock jumps 800 days ahead and back. Each timestamp follows the clock; delivery
/// goes on at once, and `queue.max_age` of one hour drops nothing.
///
/// The last message waits for its destination during a jump, so that a comparison of
/// wall clock times would expire it.
#[test]
fn a_clock_jump_neither_expires_nor_delays_nor_reorders_messages() {
    let sandbox = Sandbox::new();
    // A rename is atomic, and the library reads the file at every look at the clock.
    let turn = |offset: &str| {
        sandbox.file("clock.new", offset);
        fs::rename(sandbox.path("clock.new"), sandbox.path("clock")).unwrap();
    };
    turn("+0");
    let mut child = sandbox
        .command(emit(&["-v", "--set", "queue.max_age=3600", "--acks", "acks"]))
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", sandbox.path("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        // As in the real world, the monotonic clock does not jump.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::piped())
        .stderr(sandbox.create("err"))
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for (number, offset) in (1..).zip(["+0", "+800d", "-800d"]) {
        turn(offset);
        stdin.write_all(line("a").as_bytes()).unwrap();
        wait_until("the line is delivered", || sandbox.lines_of("n.log") == number);
    }

    // A pending message does not age when the clock jumps.
    fs::rename(sandbox.path("n.log"), sandbox.path("n.log.1")).unwrap();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    stdin.write_all(line("a").as_bytes()).unwrap();
    wait_until("the first attempt has failed", || {
        sandbox.read("err").contains("delivery failed, retrying")
    });
    turn("+800d");
    fs::remove_file(sandbox.path("n.log")).unwrap();
    wait_until("the line is delivered", || sandbox.lines_of("acks") == 4);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
    assert!(sandbox.read("err").contains("4 read, 4 delivered"), "{}", sandbox.read("err"));

    let years: Vec<_> = sandbox.lines("n.log.1").iter().map(year).collect();
    assert!(years[1] - years[0] >= 2 && years[0] - years[2] >= 2, "{years:?}");
    // The timestamp is that of the emit, before the last jump.
    assert_eq!(sandbox.lines("n.log").iter().map(year).collect::<Vec<_>>(), [years[2]]);
}
