//! Private brokers, Python peers, a fault proxy and a faulty disk for the project's tests.
//!
//! Nothing here knows a crate of the project. Only tests depend on it, and it is not published.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::expect_used,
    reason = "everything here is part of a test"
)]

pub mod broker;
pub mod disk;
pub mod log;
pub mod process;
pub mod proxy;
pub mod secrets;

/// Returns the number of cases that a property test runs: `PROPTEST_CASES` if it is set, otherwise
/// `default`.
pub fn cases(default: u32) -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(default)
}
