//! Fuzz targets: one function for each kind of input from outside.
//!
//! Each target feeds bytes to the same code as the library and the command. It panics if the
//! project breaks one of these promises:
//!
//! * no input causes a panic,
//! * the library writes a notification as it read it,
//! * the limits hold,
//! * errors are printable and short,
//! * no output contains the planted secret,
//! * no frame that passes a guard makes a client library recurse deeply,
//! * no request for a web page fails by a fault of ours, and no page lets a text out of its place.
//!
//! `cargo xtask fuzz` lets libFuzzer search for bytes that make a target panic. `tests/corpus.rs`
//! runs every target on its corpus, with every test run. Without libFuzzer, the program of a target
//! runs it on the files of its command line.

#![expect(clippy::panic, reason = "a target reports a broken promise by a panic")]

mod amqp091_guard;
mod amqp10_guard;
mod broker_url;
mod checks;
mod config;
mod glance_conf;
mod notification;
mod redaction;
mod spool;
mod web_pages;
mod web_query;

use std::process::ExitCode;

pub use amqp10_guard::amqp10_guard;
pub use amqp091_guard::amqp091_guard;
pub use broker_url::broker_url;
pub use config::config;
pub use glance_conf::glance_conf;
pub use notification::notification;
pub use redaction::redaction;
pub use spool::spool;
pub use web_pages::web_pages;
pub use web_query::web_query;

/// A function that panics if some input breaks a promise of the project.
pub type FuzzTarget = fn(&[u8]);

/// Every target, under the name that its program and its corpus have too.
pub const TARGETS: &[(&str, FuzzTarget)] = &[
    ("amqp091_guard", amqp091_guard),
    ("amqp10_guard", amqp10_guard),
    ("broker_url", broker_url),
    ("config", config),
    ("glance_conf", glance_conf),
    ("notification", notification),
    ("redaction", redaction),
    ("spool", spool),
    ("web_pages", web_pages),
    ("web_query", web_query),
];

/// Runs `target` on every file of the command line. This is the program of a target without
/// libFuzzer.
///
/// Exits with code 2 if it cannot read a file.
pub fn replay(target: FuzzTarget) -> ExitCode {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => target(&bytes),
            Err(_) => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

/// Defines the program of one target.
#[macro_export]
macro_rules! fuzz {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$target(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($crate::$target)
        }
    };
}
