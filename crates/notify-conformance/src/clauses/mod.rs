//! The clauses of the contract: one function for each sentence of [`Transport`](notify_core::Transport).
//!
//! Each clause starts a destination of its own through its [`Harness`](crate::Harness) and panics
//! when the transport breaks the contract. [`suite!`](crate::suite!) declares a test for each of them.
//!
//! # Examples
//!
//! ```
//! use notify_conformance::script::Script;
//! use notify_conformance::{clauses, suite};
//!
//! suite::run_clause(clauses::settles_every_message_once::<Script>());
//! ```

mod comparison;
mod delivery;
mod faults;
mod lanes;
mod release;
mod verdicts;
mod waiting;

pub use delivery::{
    an_empty_batch_touches_nothing, delivers_every_event_type_and_priority, delivers_in_order,
    delivers_unicode_and_large_messages, keeps_context_and_sequence, keeps_every_byte_of_the_body,
    keeps_the_metadata,
};
pub use faults::{
    a_kill_mid_batch_loses_and_repeats_nothing_accepted, a_stalled_send_can_be_dropped,
    connects_once_the_destination_comes_up, reconnects_after_a_restart_between_batches,
};
pub use lanes::{a_failing_lane_delays_no_other, a_silent_lane_delays_the_others_once};
pub use release::{close_releases_the_destination, drop_releases_the_destination};
pub use verdicts::{
    asks_to_retry_while_the_destination_declines, refuses_one_and_accepts_the_rest,
    settles_every_message_once,
};
