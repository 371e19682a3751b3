//! Private brokers, Python peers, a fault proxy and a faulty disk for the project's tests.
//!
//! This crate imports no other crate of the project. Only tests depend on it, and it is never
//! published.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "everything in this crate is part of a test"
)]

pub mod broker;
pub mod certificates;
pub mod disk;
pub mod log_recorder;
pub mod ports;
pub mod proxy;
pub mod role_process;
pub mod sandbox;
pub mod secrets;
pub mod wait;

/// Returns the number of cases that a property test runs: the value of `PROPTEST_CASES`, or
/// `default` where the variable is unset or not a number.
pub fn proptest_cases(default: u32) -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(default)
}
