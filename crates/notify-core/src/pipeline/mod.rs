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
mod blocks;
mod bounds;
mod builder;
mod deadline;
mod gather;
mod held;
mod notifier;
mod queue;
mod receipt;
mod settle;
mod stage;
mod stats;
mod streak;
mod worker;

pub use bounds::{Overflow, QueueConfig};
pub use builder::Builder;
pub use notifier::Notifier;
pub use receipt::Receipt;
pub use stage::{Closing, Stage, StageAccount};
pub use stats::{Dropped, Pending, State, Stats};
pub use worker::Worker;
