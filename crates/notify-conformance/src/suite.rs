//! The macro that declares the tests of one harness, and the runtime that each test runs on.
//!
//! This module knows the clauses by name only. It holds no assertion.

/// Declares a test for each clause of the contract, for one [`Harness`](crate::Harness).
///
/// The tests are in a module `conformance` beside the call, so call the macro once per module. The
/// macro adds the attribute `#[cfg(test)]` itself.
///
/// # Examples
///
/// In `tests/conformance.rs` of your transport's crate, with your harness in place of
/// [`Script`](crate::script::Script):
///
/// ```
/// use notify_conformance::script::Script;
///
/// notify_conformance::suite!(Script);
/// ```
#[macro_export]
macro_rules! suite {
    ($harness:ty) => {
        $crate::suite! { @clauses $harness:
            delivers_in_order
            keeps_every_byte_of_the_body
            delivers_unicode_and_large_messages
            delivers_every_event_type_and_priority
            keeps_the_metadata
            keeps_context_and_sequence
            an_empty_batch_touches_nothing
            settles_every_message_once
            refuses_one_and_accepts_the_rest
            asks_to_retry_while_the_destination_declines
            connects_once_the_destination_comes_up
            a_kill_mid_batch_loses_and_repeats_nothing_accepted
            reconnects_after_a_restart_between_batches
            a_stalled_send_can_be_dropped
            a_failing_lane_delays_no_other
            a_silent_lane_delays_the_others_once
            close_releases_the_destination
            drop_releases_the_destination
        }
    };
    (@clauses $harness:ty: $($clause:ident)+) => {
        #[cfg(test)]
        mod conformance {
            use super::*;

            $(
                #[test]
                fn $clause() {
                    $crate::suite::run_clause($crate::clauses::$clause::<$harness>());
                }
            )+
        }
    };
}

/// Declares a test for each clause of the contract of sources, for one
/// [`SourceHarness`](crate::SourceHarness).
///
/// The tests are in a module `source_conformance` beside the call, so call the macro once per module.
/// The macro adds the attribute `#[cfg(test)]` itself.
///
/// # Examples
///
/// In `tests/source_conformance.rs` of your source's crate, with your harness in place of
/// [`SourceScript`](crate::source_script::SourceScript):
///
/// ```
/// use notify_conformance::source_script::SourceScript;
///
/// notify_conformance::source_suite!(SourceScript);
/// ```
#[macro_export]
macro_rules! source_suite {
    ($harness:ty) => {
        $crate::source_suite! { @clauses $harness:
            hands_over_in_order
            keeps_to_the_credit
            survives_large_and_hostile_bodies
            acknowledged_messages_come_only_once
            single_acknowledgements_settle_nothing_else
            nothing_is_lost_by_a_kill_at_any_point
            a_receive_can_be_dropped_at_any_point
            an_error_starts_a_new_session
            poison_neither_blocks_nor_loops
            a_release_returns
            a_dropped_delivery_comes_again
            close_gives_back_what_is_held
            a_tap_leaves_the_shared_queue_unchanged
        }
    };
    (@clauses $harness:ty: $($clause:ident)+) => {
        #[cfg(test)]
        mod source_conformance {
            use super::*;

            $(
                #[test]
                fn $clause() {
                    $crate::suite::run_clause($crate::source_clauses::$clause::<$harness>());
                }
            )+
        }
    };
}

/// Runs one clause to its end, on a multi-threaded runtime of its own.
///
/// The runtime has two threads, so that the transport's own tasks run while the clause waits.
/// [`suite!`](crate::suite!) calls this function for you. Call it yourself to run a single clause.
///
/// # Panics
///
/// When the transport breaks the clause, and when the system gives no threads for the runtime.
///
/// # Examples
///
/// ```
/// use notify_conformance::script::Script;
/// use notify_conformance::{clauses, suite};
///
/// suite::run_clause(clauses::delivers_in_order::<Script>());
/// ```
pub fn run_clause(clause: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("cannot start a tokio runtime")
        .block_on(clause);
}
