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
mod block;
mod block_queue;
mod builder;
mod deadline;
mod gather;
mod linger;
mod notifier;
mod queue;
mod queue_config;
mod random;
mod receipt;
mod settle;
mod stage;
mod stats;
mod streak;
mod worker;

pub use builder::NotifierBuilder;
pub use notifier::Notifier;
pub use queue_config::{Overflow, QueueConfig};
pub use receipt::Receipt;
pub use stage::{CloseSignal, Stage, StageAccount};
pub use stats::{Dropped, Pending, Stats, WorkerState};
pub use worker::Worker;
