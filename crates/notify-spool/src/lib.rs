//! A durable queue on the local disk in front of a destination.
//!
//! A [`Spool`] is a [`Transport`](notify_core::Transport) whose destination is the local disk. It works
//! in front of every other transport and splits delivery into two stages:
//!
//! 1. The notifier's worker stores each batch in the spool. A receipt resolves as soon as its message
//!    is safely on the disk.
//! 2. The [`Forwarder`] reads the messages back and delivers them to the destination. It retries for
//!    as long as the destination is unreachable, and it continues after a restart.
//!
//! Each stage has its own account; [`Notifier::stages`](notify_core::Notifier::stages) returns both.
//!
//! # Promises
//!
//! * **At least once.** The forwarder delivers every accepted message at least once, across `kill -9`,
//!   a reboot and every outage that fits into the spool. A message that the destination refuses for
//!   good becomes a dead letter, which keeps the reason. Two deliveries of one message carry the same
//!   `message_id` and the same bytes.
//! * **All or nothing.** One batch is one transaction and one `fdatasync`. The spool accepts as many
//!   messages of a batch as fit, in their order, and never half of a message.
//! * **Order.** First attempts keep the order in which the spool accepted the messages.
//! * **Isolation.** A disk that fails, hangs or is full blocks one thread, which belongs to the spool.
//!   The spool continues without a restart as soon as the disk works again.
//!
//! # The directory
//!
//! Several processes can share one directory. It contains numbered slots. Each process locks the lowest
//! free slot for its own messages, and it also forwards the messages of orphans: slots whose processes
//! are gone.
//!
//! | file | contents |
//! |---|---|
//! | `slot-0.lock` | the lock (`flock`) of slot 0, and the status that its owner publishes |
//! | `slot-0.redb` | the messages and dead letters of slot 0, a [redb](https://docs.rs/redb) database |
//! | `slot-0.unsynced` | an empty mark: a sync of slot 0 failed, see `sync_failure.rs` |
//! | `slot-0.redb.corrupt-…` | a damaged file that the spool quarantined, with the time in microseconds |
//!
//! The directory has mode 0700 and the files have mode 0600. The spool refuses files of other users,
//! files that other users can write to, and symbolic links. The module [`admin`] inspects and changes a
//! directory from outside.
//!
//! # Examples
//!
//! ```no_run
//! use notify_core::{Notifier, Result, Transport, Worker};
//! use notify_spool::{Config, Spool};
//!
//! /// Builds a notifier that stores each message on the disk before it goes to RabbitMQ.
//! fn durable(rabbit: Box<dyn Transport>) -> Result<(Notifier, Worker)> {
//!     let (spool, forwarder) = Spool::open(Config::new("/var/spool/glance-notify"), rabbit)?;
//!     Notifier::builder(spool).publisher_id("image.host1").behind(forwarder).build()
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admin;
mod blocking;
mod check;
mod chunk_outcome;
mod chunks_in_flight;
mod config;
mod counters;
mod dead_letter;
#[doc(hidden)]
pub mod disk;
mod error;
#[doc(hidden)]
pub mod executor;
mod forwarder;
mod fuzz;
mod lane_cursors;
mod metadata;
mod orphan_forwarder;
mod orphan_search;
mod outcome_recorder;
mod records;
mod redb_guard;
mod slot;
mod slot_database;
mod slot_forwarding;
mod slot_handle;
mod slot_job;
mod slot_session;
mod slot_status;
mod slot_thread;
mod spool;
mod spool_dir;
mod sync_failure;
mod unknown_slots;

pub use config::{Config, CorruptSlotPolicy, DEFAULTS, FullSpoolPolicy, SpoolTable};
pub use forwarder::Forwarder;
#[doc(hidden)]
pub use fuzz::fuzz_records;
pub use slot_status::{MessageTotals, SlotContents};
pub use spool::Spool;
