//! The emitting pipeline: a bounded queue, one worker, and receipts.
//!
//! ```text
//! emit ── encode ──► queue ──► worker ──► Transport::send(batch)
//!   └── Receipt ◄─────────────────────── one verdict per message
//! ```
//!
//! The pipeline does once what every transport needs: it bounds memory, drops messages when the queue
//! is full, builds batches, retries with backoff, sets deadlines, drains and counts. It must not know
//! any destination, and it must never block or fail the program that emits.
//!
//! # Examples
//!
//! A program that has a tokio runtime runs the [`Worker`] as a task:
//!
//! ```
//! # use notify_conformance::script::Script;
//! use std::time::Duration;
//!
//! use notify_core::event::Payload;
//! use notify_core::{Event, Notifier};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> notify_core::Result<()> {
//! # let transport = Script::default().transport();
//! let (notifier, worker) = Notifier::builder(transport).publisher_id("image.host1").build()?;
//! let worker = tokio::spawn(worker.run());
//!
//! notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
//!
//! let stats = notifier.shutdown(Duration::from_secs(10)).await;
//! assert_eq!((stats.emitted, stats.delivered), (1, 1));
//! worker.await.expect("the worker does not panic");
//! # Ok(())
//! # }
//! ```

mod account;
mod account_reader;
mod backoff;
mod block;
mod block_queue;
mod builder;
mod claim;
mod conclude;
pub(crate) mod deadline;
mod destination_account;
mod destination_name;
mod destination_outcome;
mod event_set;
mod fan_out;
mod generations;
mod lane_mask;
mod lane_queue;
mod lane_queues;
mod linger;
mod linger_state;
mod load;
mod notifier;
mod outage;
mod outcome_slot;
mod permit;
mod queue;
mod queue_close;
mod queue_config;
mod queue_room;
mod queue_stats;
pub(crate) mod random;
mod receipt;
mod registry;
mod reservation;
mod room_lines;
mod runner;
mod sequencer;
mod set_aside;
mod settle;
mod stage;
mod stats;
mod streak;
mod worker;

pub use account_reader::AccountReader;
pub use builder::NotifierBuilder;
pub use destination_account::DestinationAccount;
pub use destination_name::DestinationName;
pub use destination_outcome::{DestinationOutcome, DestinationProgress};
pub use notifier::Notifier;
pub use permit::{Permit, UnusedPermit};
pub use queue_config::{Overflow, QueueConfig};
pub use receipt::Receipt;
pub use stage::{CloseSignal, Stage, StageAccount};
pub use stats::{DropCounts, PendingCounts, Stats, WorkerState};
pub use worker::Worker;
