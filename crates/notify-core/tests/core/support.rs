//! Shorthands for tests of the pipeline: a notifier on a script, attempts, outcomes, the balance.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::pipeline::{NotifierBuilder, QueueConfig, Stats};
use notify_core::{Event, EventType, Notifier, Outcome, Priority, Result, Worker};

use crate::fixtures::event;

/// Returns the default queue with other bounds in messages.
pub(crate) fn queue_config(max_messages: usize, batch_messages: usize) -> QueueConfig {
    let mut queue = QueueConfig::default();
    (queue.max_messages, queue.batch_messages) = (max_messages, batch_messages);
    queue
}

/// Builds a notifier that delivers to `script`.
pub(crate) fn build(script: &Script, queue: QueueConfig) -> (Notifier, Worker) {
    Notifier::builder(script.transport()).publisher_id("host1").queue(queue).build().unwrap()
}

/// Returns the options of a notifier that delivers to `script`.
pub(crate) fn builder(script: &Script) -> NotifierBuilder {
    Notifier::builder(script.transport()).publisher_id("host1").seed(1)
}

/// Returns an `image.create` of about a kilobyte.
pub(crate) fn image_create() -> Event {
    event(EventType::ImageCreate, Priority::Info)
}

/// Returns one attempt of a script.
pub(crate) fn attempt(actions: &[ScriptAction], end: ScriptEnd) -> ScriptAttempt {
    ScriptAttempt { actions: actions.to_vec(), end }
}

/// Returns the outcome of a receipt's error; `None` for a delivery.
pub(crate) fn outcome(result: Result<()>) -> Option<Outcome> {
    result.err().map(|error| error.outcome())
}

/// Asserts that `emitted = delivered + refused + dropped + pending`.
pub(crate) fn assert_balances(stats: &Stats) {
    let Stats { emitted, delivered, refused, dropped, pending, .. } = stats;
    assert_eq!(*emitted, delivered + refused + dropped.total() + pending.messages, "{stats:?}");
}

/// Polls a future once; returns its output if it is ready.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The number of times that a task was woken.
#[derive(Debug, Default)]
pub(crate) struct WakeCounter(AtomicUsize);

impl WakeCounter {
    /// Returns the number.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for WakeCounter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
