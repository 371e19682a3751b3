//! Tests of the whole spool: storing, forwarding, administration and every kind of failure.
//!
//! Unit tests beside the code cover formats and numbers. The tests here run a spool on a directory, with
//! a script or a simulated destination behind it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]
#![expect(clippy::print_stdout, reason = "some tests print their measurements")]

mod access;
mod administration;
mod adoption;
mod corruption;
mod disk_failures;
mod file_size;
mod format;
mod forwarding;
mod frozen_disk;
mod full_spool;
mod hung_disk;
mod lanes;
mod model;
mod power_cut;
mod process_kill;
mod sequence;
mod shared_dir;
mod support;
mod thread_start;
