//! The listener through its public interface, on a source that follows a script.

mod behaviour;
mod dead_letters;
mod model;

use std::time::Duration;

use notify_conformance::source_script::SourceScript;
use notify_core::listener::{
    DeadLetters, DeliveryCounts, Listener, ListenerBuilder, ListenerConfig,
};

/// A time that is over only if something is stuck. The clock of these tests is paused.
const LONG: Duration = Duration::from_secs(3600);

/// Starts building a listener on a script, without jitter.
fn listener(script: &SourceScript, dead_letters: DeadLetters, prefetch: usize) -> ListenerBuilder {
    let mut config = ListenerConfig::default();
    config.prefetch = prefetch;
    Listener::builder(script.source(), dead_letters).config(config).random(|| 1.0)
}

/// Asserts that every delivery is counted once.
fn assert_account_balances(counts: &DeliveryCounts) {
    let ended = counts.acked + counts.released + counts.dead_lettered + counts.lost;
    assert_eq!(counts.received, ended + counts.held, "{counts:?}");
}
