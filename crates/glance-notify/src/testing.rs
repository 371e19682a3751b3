//! A notifier that records instead of sending, for the tests of programs that notify.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use notify_core::pipeline::WorkerState;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Notification, Notifier, Result, Transport, Verdict,
};

/// A notifier whose notifications can be taken out of the recorder.
///
/// It is the real pipeline, with a worker on a thread of its own: what is recorded was encoded,
/// redacted and read again, so a test sees what would have left. It takes all event types; the
/// publisher is `recorder`.
///
/// ```
/// use glance_notify::time::OffsetDateTime;
/// use glance_notify::uuid::Uuid;
/// use glance_notify::event::Body;
/// use glance_notify::{Event, Image, ImageStatus, testing};
///
/// let (notifier, recorder) = testing::recorder();
/// let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
/// let event = Event::ImageCreate(image.into());
/// notifier.emit(&event); // in the program under test
/// assert_eq!(recorder.take()[0].body, Body::Event(event));
/// ```
pub fn recorder() -> (Notifier, Recorder) {
    let shared = Arc::new(Shared::default());
    let transport = Box::new(Recording(Arc::clone(&shared)));
    #[expect(clippy::expect_used, reason = "a name and default bounds are what it asks for")]
    let (notifier, worker) =
        Notifier::builder(transport).publisher_id("recorder").build().expect("defaults");
    // Where there is no thread to be had, every receipt says so.
    drop(worker.spawn_thread());
    (notifier.clone(), Recorder { notifier, shared })
}

/// What a [`recorder`]'s notifier has delivered, and what it is to fail at.
///
/// Keeps the notifier open as long as it lives.
#[derive(Debug)]
pub struct Recorder {
    notifier: Notifier,
    shared: Arc<Shared>,
}

impl Recorder {
    /// What was delivered since the last time, in order.
    ///
    /// Waits until everything that was emitted before this call is decided, or until an attempt
    /// fails because of [`fail_until`](Self::fail_until); ten seconds at most.
    pub fn take(&self) -> Vec<Notification> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut state = self.shared.lock();
        let failures = state.failures;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let account = self.notifier.stats();
            let failing =
                state.failures > failures || matches!(account.state, WorkerState::Retrying { .. });
            if account.pending.messages == 0 || failing || left.is_zero() {
                return state.delivered.drain(..).collect();
            }
            // The account is written after the recorder has been told, so it is looked at again.
            let wait = self.shared.attempted.wait_timeout(state, left.min(LOOK_AGAIN));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Refuses the next `count` notifications for good: their receipts resolve to
    /// [`ErrorKind::Rejected`], and they are not recorded. Adds to what is still to be refused.
    pub fn refuse_next(&self, count: usize) {
        let mut state = self.shared.lock();
        state.refuse = state.refuse.saturating_add(count);
    }

    /// Fails every attempt to deliver, as a destination that is away, until `recovered` says that it
    /// is back. It is asked once before each attempt; the first attempt that it lets through ends
    /// this. Nothing is lost by it: what was emitted meanwhile is delivered then.
    ///
    /// ```
    /// # let (_, recorder) = glance_notify::testing::recorder();
    /// let mut attempts = 0;
    /// recorder.fail_until(move || {
    ///     attempts += 1;
    ///     attempts > 2
    /// });
    /// ```
    pub fn fail_until(&self, recovered: impl FnMut() -> bool + Send + 'static) {
        self.shared.lock().recovered = Some(Box::new(recovered));
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<Recorded>,
    attempted: Condvar,
}

#[derive(Default)]
struct Recorded {
    delivered: VecDeque<Notification>,
    refuse: usize,
    recovered: Option<Box<dyn FnMut() -> bool + Send>>,
    failures: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared")
            .field("delivered", &state.delivered.len())
            .field("refuse", &state.refuse)
            .field("failing", &state.recovered.is_some())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Recording(Arc<Shared>);

#[async_trait]
impl Transport for Recording {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        // Taken out while it is asked: it may use the recorder itself.
        let recovered = self.0.lock().recovered.take();
        if let Some(mut recovered) = recovered
            && !recovered()
        {
            let mut state = self.0.lock();
            state.recovered.get_or_insert(recovered);
            state.failures += 1;
            drop(state);
            self.0.attempted.notify_all();
            return Err(Error::new(ErrorKind::Unavailable, "the recorder is told to fail"));
        }
        for index in 0..batch.messages().len() {
            let mut state = self.0.lock();
            let verdict = if state.refuse > 0 {
                state.refuse -= 1;
                Verdict::Refuse(Error::new(ErrorKind::Rejected, "the recorder is told to refuse"))
            } else {
                match Notification::from_json(batch.messages()[index].body()) {
                    Ok(notification) => {
                        state.delivered.push_back(notification);
                        Verdict::Accept
                    }
                    Err(error) => Verdict::Refuse(error),
                }
            };
            drop(state);
            batch.settle(index, verdict);
        }
        self.0.attempted.notify_all();
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How long [`Recorder::take`] waits before it looks at the account again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use notify_core::event::{Body, Payload};
    use notify_core::{Event, Outcome};

    use super::*;

    fn event(text: &str) -> Event {
        Event::ImageUpload(Payload::Error(text.into()))
    }

    fn texts(notifications: &[Notification]) -> Vec<String> {
        let text = |notification: &Notification| match &notification.body {
            Body::Event(Event::ImageUpload(Payload::Error(text))) => text.clone(),
            other => panic!("{other:?}"),
        };
        notifications.iter().map(text).collect()
    }

    #[test]
    fn takes_what_was_emitted_in_order_and_once() {
        let (notifier, recorder) = recorder();
        for number in 0..100 {
            notifier.emit(&event(&number.to_string()));
        }
        let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(texts(&recorder.take()), expected);
        assert!(recorder.take().is_empty());
    }

    #[test]
    fn sees_what_would_have_left() {
        let (notifier, recorder) = recorder();
        notifier.emit(&event("cannot reach swift://user:hunter2@host/c"));
        assert_eq!(texts(&recorder.take()), ["cannot reach swift://***@host/c"]);
    }

    #[test]
    fn refuses_as_many_as_it_was_told() {
        let (notifier, recorder) = recorder();
        recorder.refuse_next(2);
        let mut receipts: Vec<_> = ["a", "b", "c"].map(|text| notifier.emit(&event(text))).into();
        assert_eq!(texts(&recorder.take()), ["c"]);
        let mut outcome = |index: usize| receipts[index].wait(Duration::from_secs(10));
        assert_eq!(outcome(0).unwrap_err().outcome(), Outcome::Rejected);
        assert_eq!(outcome(1).unwrap_err().kind(), ErrorKind::Rejected);
        outcome(2).unwrap();
    }

    #[tokio::test]
    async fn fails_until_it_is_told_to_recover_and_loses_nothing() {
        let (notifier, recorder) = recorder();
        let mut attempts = 0;
        recorder.fail_until(move || {
            attempts += 1;
            attempts > 2
        });
        let receipt = notifier.emit(&event("a"));
        assert!(recorder.take().is_empty());
        receipt.await.unwrap();
        assert_eq!(texts(&recorder.take()), ["a"]);
        let stats = notifier.shutdown(Duration::from_secs(1)).await;
        assert_eq!((stats.delivered, stats.retried), (1, 2));
    }
}
