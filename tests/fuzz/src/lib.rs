//! What must hold for whatever comes in from outside: a function for each kind of input.
//!
//! Each takes bytes, does with them what the project does with such input, and panics where a promise
//! does not hold: nothing panics, what is read is written as it was, limits are kept, what is shown is
//! harmless and short, and a planted secret comes out nowhere.
//!
//! `cargo xtask fuzz` lets libFuzzer look for such bytes; `tests/corpus.rs` tries those of the corpus
//! with every run of the tests. One of the programs, given files and built without libFuzzer, tries
//! these.

#![expect(clippy::panic, reason = "that is how a target tells what it has found")]

mod broker_url;
mod config;
mod glance_conf;
mod notification;
mod redaction;
mod shown;
mod spool;

use std::process::ExitCode;

pub use broker_url::broker_url;
pub use config::config;
pub use glance_conf::glance_conf;
pub use notification::notification;
pub use redaction::redaction;
pub use spool::spool;

/// A function that panics where a promise does not hold for these bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its program and of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("broker_url", broker_url),
    ("config", config),
    ("glance_conf", glance_conf),
    ("notification", notification),
    ("redaction", redaction),
    ("spool", spool),
];

/// Tries the files that the program was given: what a program of this crate does without libFuzzer.
pub fn replay(target: Target) -> ExitCode {
    for path in std::env::args_os().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => target(&bytes),
            Err(_) => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

/// The program of one target.
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
