//! The core as its users see it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail as it likes")]

mod account;
mod closing;
mod common;
mod model;
mod pipeline;
mod reading;
mod redaction;
mod room;
mod round_trip;
mod snapshots;
mod stages;
mod stress;
