//! A clock that jumps: it says when a notification was emitted, and decides nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Stdio;

use crate::support::{Sandbox, emit, line, wait_until};

/// Of Debian's package `faketime`.
fn libfaketime() -> PathBuf {
    let libraries = fs::read_dir("/usr/lib").unwrap().flatten();
    libraries
        .map(|directory| directory.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("no faketime: run `cargo xtask setup`")
}

/// The year that a line of the log says it was emitted in.
fn year(line: &serde_json::Value) -> i32 {
    line["timestamp"].as_str().unwrap()[..4].parse().unwrap()
}

#[test]
fn a_clock_jump_neither_expires_nor_delays_nor_reorders_messages() {
    let sandbox = Sandbox::new();
    // Renamed into place: it is read at every look at the clock.
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
        // As in the world: the clock that jumps is not the one that measures.
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
        wait_until("it is delivered", || sandbox.lines_of("n.log") == number);
    }

    // What waits for its destination while the clock jumps is not older than it was.
    fs::rename(sandbox.path("n.log"), sandbox.path("n.log.1")).unwrap();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    stdin.write_all(line("a").as_bytes()).unwrap();
    wait_until("it was tried in vain", || {
        sandbox.read("err").contains("delivery failed, retrying")
    });
    turn("+800d");
    fs::remove_file(sandbox.path("n.log")).unwrap();
    wait_until("it is delivered", || sandbox.lines_of("acks") == 4);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", sandbox.read("err"));
    assert!(sandbox.read("err").contains("4 read, 4 delivered"), "{}", sandbox.read("err"));

    let years: Vec<_> = sandbox.lines("n.log.1").iter().map(year).collect();
    assert!(years[1] - years[0] >= 2 && years[0] - years[2] >= 2, "{years:?}");
    // It was emitted before the last jump.
    assert_eq!(sandbox.lines("n.log").iter().map(year).collect::<Vec<_>>(), [years[2]]);
}
