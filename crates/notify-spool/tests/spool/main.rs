//! The spool as a whole: what it keeps, what it forwards, and what becomes of it when it is mistreated.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail as it likes"
)]
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

mod access;
mod administration;
mod corrupt;
mod failing;
mod forwarding;
mod full;
mod killed;
mod model;
mod shared;
mod space;
mod support;
mod unsynced;
