//! The listener: it reads notifications from sources, and hands them to a program until they are
//! settled.
//!
//! ```text
//! Source ── receive ──► ledger ──► next_batch ──► Delivery
//!    ▲                     │                         │
//!    └────── settle ◄──────┴──── ack, release, fail, refuse
//!                          └──► dead-letter file
//! ```
//!
//! The listener does once what every source needs: it bounds memory, decodes and redacts, reconnects
//! with backoff, hands failed deliveries out again, writes dead letters, sets deadlines and counts. It
//! must not know any place that notifications come from.
//!
//! # Failures
//!
//! A delivery whose work fails stays in memory and comes again after a wait that grows from 100 ms to
//! 30 s. Nothing goes back to a broker in a loop.
//!
//! * A failure counts only if another delivery was acknowledged since the previous failure. After
//!   [`attempts`](ListenerConfig::attempts) such failures, the delivery becomes a dead letter.
//! * If more than half of the prefetch fails, the oldest delivery with a failure that counts becomes a
//!   dead letter.
//! * If that many deliveries fail in a row and none is acknowledged, the listener pauses: the database
//!   behind your program is probably away. Nothing becomes a dead letter then.
//!
//! # Dead letters
//!
//! Deliveries that are refused, unreadable, or failed too often go to the [dead-letter
//! file](DeadLetters). The listener syncs the letter before it acknowledges the delivery. A session that
//! ends between the two can repeat a letter. [`DeadLetterFile`] reads the letters, and removes those that you
//! have handled.
//!
//! [`Listener`] shows how to use it.

mod account_reader;
mod builder;
#[doc(hidden)]
pub mod checkpoint_lock;
mod config;
mod content;
mod dead_letter;
mod dead_letter_file;
mod dead_letter_writer;
mod delivery;
mod delivery_batch;
#[doc(hidden)]
pub mod durable_file;
mod held_delivery;
mod listener_handle;
mod listener_state;
mod receiver;
mod sequence_gaps;
mod settlement;
mod source_driver;
mod source_ledger;
mod stats;

pub use account_reader::ListenerAccountReader;
pub use builder::ListenerBuilder;
pub use config::{DeadLetters, ListenerConfig};
pub use content::UnreadableMessage;
pub use dead_letter::DeadLetter;
pub use dead_letter_file::{DeadLetterFile, DeadLetterLine};
pub use delivery::Delivery;
pub use delivery_batch::DeliveryBatch;
pub use receiver::Listener;
pub use sequence_gaps::{SequenceGap, SequenceGaps};
pub use settlement::{SettlementOutcome, SettlementReceipt};
pub use stats::{CoverageChange, DeliveryCounts, ListenerStats, SourceState, SourceStats};
