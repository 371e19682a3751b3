//! The contracts of [`Transport`](notify_core::Transport) and [`Source`](notify_core::source::Source) as
//! named tests, for authors of transports and sources.
//!
//! A transport delivers messages to one destination: a file, a broker, your company's event bus. The
//! [contract](notify_core::Transport#contract) says what the worker expects of it: try once, settle
//! message by message, never claim an acceptance that the destination did not give. This crate turns
//! each sentence of that contract into a *clause*, a test that any transport can run against its
//! real destination.
//!
//! Use it as a dev-dependency only. Its functions panic when a transport breaks the contract.
//!
//! # How to test your transport
//!
//! 1. Add the crate to `[dev-dependencies]`, together with `notify-core`.
//! 2. Implement [`Harness`] for a type that stands for your destination. [`start`](Harness::start)
//!    creates a fresh destination (a temporary directory, an own virtual host on a broker), and
//!    [`transport`](Harness::transport) opens your transport to it. The other methods look into the
//!    destination or disturb it.
//! 3. List in [`UNSUPPORTED`](Harness::UNSUPPORTED) each [`Capability`] that your destination lacks,
//!    with the reason. A clause that needs it prints that reason and passes; the suite skips nothing
//!    silently.
//! 4. Call [`suite!`] with your harness. It declares one `#[test]` for each clause.
//!
//! The harness reads the destination back in [`received`](Harness::received). Use another client than
//! the one your transport uses: a client that misreads its own output proves nothing.
//!
//! # Clauses
//!
//! | clause | needs |
//! |---|---|
//! | [`delivers_in_order`](clauses::delivers_in_order) | `ReadBack` |
//! | [`keeps_every_byte_of_the_body`](clauses::keeps_every_byte_of_the_body) | `ReadBack` |
//! | [`delivers_unicode_and_large_messages`](clauses::delivers_unicode_and_large_messages) | `ReadBack` |
//! | [`delivers_every_event_type_and_priority`](clauses::delivers_every_event_type_and_priority) | `ReadBack` |
//! | [`keeps_the_metadata`](clauses::keeps_the_metadata) | `ReadBack`, `Metadata` |
//! | [`keeps_context_and_sequence`](clauses::keeps_context_and_sequence) | `ReadBack`, `Metadata` |
//! | [`an_empty_batch_touches_nothing`](clauses::an_empty_batch_touches_nothing) | |
//! | [`settles_every_message_once`](clauses::settles_every_message_once) | |
//! | [`refuses_one_and_accepts_the_rest`](clauses::refuses_one_and_accepts_the_rest) | `Refuse` |
//! | [`asks_to_retry_while_the_destination_declines`](clauses::asks_to_retry_while_the_destination_declines) | `Retry` |
//! | [`connects_once_the_destination_comes_up`](clauses::connects_once_the_destination_comes_up) | `Restart` |
//! | [`a_kill_mid_batch_loses_and_repeats_nothing_accepted`](clauses::a_kill_mid_batch_loses_and_repeats_nothing_accepted) | `Restart` |
//! | [`reconnects_after_a_restart_between_batches`](clauses::reconnects_after_a_restart_between_batches) | `Restart` |
//! | [`a_stalled_send_can_be_dropped`](clauses::a_stalled_send_can_be_dropped) | `Stall` |
//! | [`a_failing_lane_delays_no_other`](clauses::a_failing_lane_delays_no_other) | `FullLane` |
//! | [`a_silent_lane_delays_the_others_once`](clauses::a_silent_lane_delays_the_others_once) | `SilentLane` |
//! | [`close_releases_the_destination`](clauses::close_releases_the_destination) | |
//! | [`drop_releases_the_destination`](clauses::drop_releases_the_destination) | |
//!
//! # Example
//!
//! A transport that keeps messages in memory, its harness and its suite. The destination is a list
//! behind a mutex, so the harness supports reading it back and nothing else:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use notify_conformance::{Capability, Harness, MessageMetadata, ReceivedMessage};
//! use notify_core::transport::async_trait;
//! use notify_core::{Batch, EventType, Message, Result, Transport, Verdict};
//!
//! type Store = Arc<Mutex<Vec<Message>>>;
//!
//! // The transport, as in `src/lib.rs` of your crate.
//! #[derive(Debug)]
//! struct MemoryTransport(Store);
//!
//! #[async_trait]
//! impl Transport for MemoryTransport {
//!     fn name(&self) -> &'static str {
//!         "memory"
//!     }
//!
//!     fn wants(&self, _: &EventType) -> bool {
//!         true
//!     }
//!
//!     async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
//!         self.0.lock().unwrap().extend_from_slice(batch.messages());
//!         batch.settle_rest(&Verdict::Accept);
//!         Ok(())
//!     }
//!
//!     async fn close(&mut self) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! // The harness, as in `tests/conformance.rs` of your crate.
//! struct MemoryHarness(Store);
//!
//! #[async_trait]
//! impl Harness for MemoryHarness {
//!     const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
//!         (Capability::Restart, "memory cannot go away"),
//!         (Capability::Stall, "memory always answers"),
//!         (Capability::Refuse, "memory accepts every message"),
//!         (Capability::Retry, "memory has no bound"),
//!         (Capability::FullLane, "memory is one lane"),
//!         (Capability::SilentLane, "memory is one lane"),
//!     ];
//!
//!     async fn start() -> Self {
//!         Self(Store::default())
//!     }
//!
//!     fn transport(&self) -> Box<dyn Transport> {
//!         Box::new(MemoryTransport(Arc::clone(&self.0)))
//!     }
//!
//!     async fn received(&mut self) -> Vec<ReceivedMessage> {
//!         let received = |message: &Message| ReceivedMessage {
//!             body: message.body().to_vec(),
//!             metadata: Some(MessageMetadata::of(message)),
//!         };
//!         self.0.lock().unwrap().iter().map(received).collect()
//!     }
//!
//!     async fn open_handles(&mut self) -> usize {
//!         0
//!     }
//! }
//!
//! // Declares the tests `conformance::delivers_in_order`, `conformance::keeps_the_metadata`, …
//! notify_conformance::suite!(MemoryHarness);
//! #
//! # // `suite!` declares tests, which a documentation test does not run.
//! # notify_conformance::suite::run_clause(
//! #     notify_conformance::clauses::delivers_in_order::<MemoryHarness>(),
//! # );
//! # notify_conformance::suite::run_clause(
//! #     notify_conformance::clauses::keeps_the_metadata::<MemoryHarness>(),
//! # );
//! # notify_conformance::suite::run_clause(
//! #     notify_conformance::clauses::close_releases_the_destination::<MemoryHarness>(),
//! # );
//! ```
//!
//! # Sources
//!
//! A [`Source`](notify_core::source::Source) reads from one place. Its contract has clauses of its own:
//! implement [`SourceHarness`] and call [`source_suite!`].
//!
//! | clause | needs |
//! |---|---|
//! | [`hands_over_in_order`](source_clauses::hands_over_in_order) | |
//! | [`keeps_to_the_credit`](source_clauses::keeps_to_the_credit) | |
//! | [`survives_large_and_hostile_bodies`](source_clauses::survives_large_and_hostile_bodies) | |
//! | [`acknowledged_messages_come_only_once`](source_clauses::acknowledged_messages_come_only_once) | `Resume` |
//! | [`single_acknowledgements_settle_nothing_else`](source_clauses::single_acknowledgements_settle_nothing_else) | `Resume`, and the mode `Individual` |
//! | [`nothing_is_lost_by_a_kill_at_any_point`](source_clauses::nothing_is_lost_by_a_kill_at_any_point) | `Resume` |
//! | [`a_receive_can_be_dropped_at_any_point`](source_clauses::a_receive_can_be_dropped_at_any_point) | |
//! | [`an_error_starts_a_new_session`](source_clauses::an_error_starts_a_new_session) | `BreakSession` |
//! | [`poison_neither_blocks_nor_loops`](source_clauses::poison_neither_blocks_nor_loops) | |
//! | [`a_release_returns`](source_clauses::a_release_returns) | |
//! | [`a_dropped_delivery_comes_again`](source_clauses::a_dropped_delivery_comes_again) | |
//! | [`close_gives_back_what_is_held`](source_clauses::close_gives_back_what_is_held) | `Resume` |
//! | [`a_tap_leaves_the_shared_queue_unchanged`](source_clauses::a_tap_leaves_the_shared_queue_unchanged) | `Tap` |
//!
//! # What else is here
//!
//! * [`samples`]: notifications to send, among them what Glance itself sent.
//! * [`attempts`]: one attempt, or attempts until all messages are accepted, for tests of your own.
//! * [`options`]: the table of your strategy's options, and the rules for its errors.
//! * [`source_script`]: a source that follows a script of messages and faults, for tests of code that
//!   uses a listener. It runs the whole suite of sources.
//! * [`script`]: a transport that follows a script of accepts, retries, refusals and failures, for
//!   tests of code that uses a notifier. It runs the whole suite, so every clause is known to be
//!   satisfiable.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "everything here is part of a test"
)]

pub mod attempts;
pub mod clauses;
mod harness;
pub mod options;
pub mod samples;
pub mod script;
mod script_attempt;
mod script_transport;
pub mod source_clauses;
mod source_harness;
pub mod source_script;
pub mod suite;

pub use harness::{Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage};
pub use source_harness::{SourceCapability, SourceHarness};
