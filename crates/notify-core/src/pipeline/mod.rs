//! From `emit` to a verdict: a bounded queue, batches, one worker, receipts.
//!
//! ```text
//! emit ── encode ──► queue ──► worker ──► Transport::send(batch)
//!   └── Receipt ◄──────────────── verdict, one by one
//! ```
//!
//! Everything that every transport needs and none should write again lives here, once: bounds,
//! overflow, batching, retry with backoff, deadlines, draining and counting.

mod account;
mod backoff;
mod bounds;
mod deadline;
mod flight;
mod gather;
mod notifier;
mod queue;
mod receipt;
mod settle;
mod stats;
mod streak;
mod worker;

pub use bounds::{Overflow, QueueConfig};
pub use notifier::{Builder, Notifier};
pub use receipt::Receipt;
pub use stats::{Dropped, Pending, State, Stats};
pub use worker::Worker;
