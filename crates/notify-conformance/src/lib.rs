//! The contract of a transport as named tests that every transport runs.
//!
//! A transport's crate implements [`Harness`] for its destination and writes one line,
//! `notify_conformance::suite!(MyHarness);`. What a destination cannot be made to do its harness
//! declares; nothing is skipped in silence. For transports that speak to a broker, [`broker`] starts
//! one.
//!
//! For tests only: never a normal dependency.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "everything here is part of a test"
)]

pub mod clauses;
mod harness;
pub mod samples;
pub mod scripted;

#[doc(hidden)]
pub use tokio;

pub use harness::{Capability, Harness, Metadata, Received};

/// Declares the whole suite for one [`Harness`]: a test for each clause of the contract.
#[macro_export]
macro_rules! suite {
    ($harness:ty) => {
        $crate::suite! { @clauses $harness:
            delivers_in_order
            keeps_every_byte_of_the_body
            takes_unicode_and_large_messages
            takes_every_event
            keeps_the_metadata
            an_empty_batch_is_free
            settles_every_message_once
            refuses_one_and_accepts_the_rest
            retries_what_was_not_taken
            is_down_at_start_then_up
            killed_mid_batch_loses_nothing_accepted_and_repeats_nothing_confirmed
            survives_a_restart_between_batches
            a_stalled_send_can_be_dropped
            close_releases
            drop_without_close_is_quiet
        }
    };
    (@clauses $harness:ty: $($clause:ident)+) => {
        #[cfg(test)]
        mod conformance {
            use super::*;

            $(
                #[test]
                fn $clause() {
                    $crate::run($crate::clauses::$clause::<$harness>());
                }
            )+
        }
    };
}

/// Runs one clause on a runtime of its own: two threads, as the worker of a service has beside it.
#[doc(hidden)]
pub fn run(clause: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(clause);
}
