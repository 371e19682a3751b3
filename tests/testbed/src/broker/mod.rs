//! Real brokers and real programs around them, private to the test that starts them.
//!
//! Nothing here shares a name, a port, a file or a process with anything else on the machine, nor
//! with another test. What a test starts ends with it: when it is dropped, and at the latest when the
//! test's process ends, however it ends.
//!
//! Everything blocks. A test that must go on meanwhile has more than one thread
//! (`#[tokio::test(flavor = "multi_thread")]`) or moves the call (`tokio::task::spawn_blocking`).
//!
//! Everything panics where it fails, with what the program said. A program that is not installed is a
//! failure too: `cargo xtask setup` installs it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong here fails the test that uses it"
)]

mod amqp;
mod authority;
pub mod oslo;
mod ports;
pub mod proton;
mod python;
pub mod rabbitmq;
mod sandbox;

use std::time::{Duration, Instant};

pub use authority::Authority;
pub use ports::free_port;
pub use sandbox::Sandbox;

/// Asks `ready` until it says yes.
///
/// # Panics
///
/// When it has not within [`PATIENCE`]; with `what` that was waited for.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long anything here may take before it counts as hung. Many times what it takes.
pub const PATIENCE: Duration = Duration::from_secs(90);
