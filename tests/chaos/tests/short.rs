//! The short form of `cargo xtask chaos`: it injects every fault once, for about a second, then
//! several at once, kills a process that emits 15 times, an archive 5 times, and a process that reads 5
//! times.

use std::process::Command;

/// Delivery is at least once: faults of the broker, the link, the process and the disk lose no
/// accepted notification.
#[test]
fn no_fault_loses_an_accepted_notification() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_notify-chaos"));
    // The system's directory for temporary files may be in memory.
    chaos.args(["--short", "--dir", env!("CARGO_TARGET_TMPDIR")]);
    let output = chaos.output().expect("the program starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{printed}");
    assert!(output.status.success(), "{errors}");
    assert!(printed.contains("published by oslo.messaging"), "the archive did not run");
    // A run that ended early would lack one of these rows.
    for fault in [
        "cut",
        "broker-kill",
        "queue-deleted",
        "producer-freeze",
        "lane-full",
        "lane-silent",
        "15 kills",
        "6 kills while reading",
    ] {
        assert!(printed.contains(&format!("| {fault}")), "the table has no row {fault}");
    }
}
