//! Tests of the strategy `log` on real files, disks, processes and pipes.

#![expect(
    clippy::exit,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may fail in any way; clippy exempts only functions marked as tests"
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
