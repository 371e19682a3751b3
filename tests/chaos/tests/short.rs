//! The short form of `cargo xtask chaos`: every fault once, for about a second, some at once, and a
//! process killed fifteen times.

use std::process::Command;

#[test]
fn nothing_accepted_is_lost_whatever_befalls_broker_link_process_and_disk() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_notify-chaos"));
    let output = chaos.arg("--short").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{complained}");
    // It ran what it was to run, and did not end early.
    for fault in ["cut", "broker-kill", "queue-deleted", "producer-freeze", "15 kills"] {
        assert!(said.contains(&format!("| {fault}")), "no row of {fault}");
    }
}
