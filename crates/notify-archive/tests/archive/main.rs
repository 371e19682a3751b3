//! The archive and its questions, on generated lives of images and on notifications that OpenStack wrote.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail as it likes")]

mod actors;
mod care;
mod generator;
mod listening;
mod reports;
mod samples;
mod service;
mod store;
mod stuck;
