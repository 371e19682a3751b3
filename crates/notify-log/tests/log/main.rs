//! The strategy `log` on real files: what is promised when files, disks, processes and readers
//! behave as they do.

#![expect(
    clippy::exit,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may fail as it likes; clippy sees only the functions marked as tests"
)]

mod access;
mod file;
mod full;
mod killed;
mod rotation;
mod shared;
mod support;
mod sync;
mod targets;
