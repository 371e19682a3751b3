//! The spool as a whole: what it keeps, what it forwards, and what becomes of it when it is mistreated.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail as it likes"
)]

mod forwarding;
mod support;
