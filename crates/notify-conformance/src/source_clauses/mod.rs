//! The clauses of the contract of sources: one function for each sentence of
//! [`Source`](notify_core::source::Source), and for what a listener makes of it.
//!
//! Each clause starts a place of its own through its [`SourceHarness`](crate::SourceHarness) and panics
//! when the source breaks the contract. [`source_suite!`](crate::source_suite!) declares a test for each
//! of them.
//!
//! # Examples
//!
//! ```
//! use notify_conformance::source_script::SourceScript;
//! use notify_conformance::{source_clauses, suite};
//!
//! suite::run_clause(source_clauses::hands_over_in_order::<SourceScript>());
//! ```

mod content;
mod listening;
mod sessions;
mod steps;

pub use content::{hands_over_in_order, keeps_to_the_credit, survives_large_and_hostile_bodies};
pub use listening::{
    a_dropped_delivery_comes_again, a_release_returns, a_tap_leaves_the_shared_queue_unchanged,
    close_gives_back_what_is_held, poison_neither_blocks_nor_loops,
};
pub use sessions::{
    a_receive_can_be_dropped_at_any_point, acknowledged_messages_come_only_once,
    an_error_starts_a_new_session, nothing_is_lost_by_a_kill_at_any_point,
    single_acknowledgements_settle_nothing_else,
};
