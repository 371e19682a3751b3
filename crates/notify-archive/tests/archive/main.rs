//! The archive and its questions, on generated lives of images and on notifications that OpenStack wrote.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail as it likes, and says why it was skipped"
)]

mod actors;
mod care;
mod failing_disk;
mod gaps;
mod generator;
mod listening;
mod reports;
mod samples;
mod searching;
mod service;
mod store;
mod stuck;
mod versions;
