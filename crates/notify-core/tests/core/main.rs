//! Tests of notify-core through its public interface.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod account;
mod closing;
mod cloud_events;
mod destinations;
mod facts;
mod fixtures;
mod forms;
mod full_queue;
mod lanes;
mod listener;
mod model;
mod outages;
mod permits;
mod pipeline;
mod problems;
mod reading;
mod redaction;
mod round_trip;
mod sequence;
mod snapshots;
mod stages;
mod stress;
mod support;
mod thread_start;
