//! A notifier that records instead of sending, for the tests of programs that emit.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use notify_core::codec::Notification;
use notify_core::event::EventType;
use notify_core::pipeline::{Notifier, NotifierBuilder, WorkerState};
use notify_core::transport::{Batch, Transport, Verdict};
use notify_core::{Error, ErrorKind, Result};

/// Creates a notifier whose notifications a test can take out of the recorder.
///
/// The notifier is the real pipeline, with its worker on a thread: it redacts, encodes and queues
/// each notification, and the recorder decodes the bytes again. A test therefore sees exactly what
/// would leave the program. The notifier takes all event types, and its publisher id is `recorder`.
///
/// # Examples
///
/// ```
/// use glance_notify::event::NotificationPayload;
/// use glance_notify::time::OffsetDateTime;
/// use glance_notify::uuid::Uuid;
/// use glance_notify::{Event, Image, ImageStatus, testing};
///
/// let (notifier, recorder) = testing::recorder();
/// let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
/// let event = Event::ImageCreate(image.into());
/// notifier.emit(&event); // in the program under test
/// assert_eq!(recorder.take()[0].payload, NotificationPayload::Constructed(event));
/// ```
#[expect(clippy::expect_used, reason = "`build` fails only for invalid options")]
pub fn recorder() -> (Notifier, Recorder) {
    recorder_with(|builder| builder).expect("the default options are valid")
}

/// Creates a notifier as [`recorder`] does, with options that `configure` sets.
///
/// # Errors
///
/// As from [`NotifierBuilder::build`], for invalid options.
///
/// # Examples
///
/// ```
/// use glance_notify::{Event, Payload, testing};
///
/// # fn main() -> glance_notify::Result<()> {
/// let (notifier, recorder) =
///     testing::recorder_with(|builder| builder.publisher_id("image.host1").disabled(["task"]))?;
/// notifier.emit(&Event::ImageUpload(Payload::Error("disk is full".into())));
/// assert_eq!(&*recorder.take()[0].publisher_id, "image.host1");
/// # Ok(())
/// # }
/// ```
pub fn recorder_with(
    configure: impl FnOnce(NotifierBuilder) -> NotifierBuilder,
) -> Result<(Notifier, Recorder)> {
    let monitor = Arc::new(RecorderMonitor::default());
    let transport = RecorderTransport(Arc::clone(&monitor));
    let builder = Notifier::builder(transport).publisher_id("recorder");
    let (notifier, worker) = configure(builder).build()?;
    // If the thread cannot start, every receipt resolves to an error.
    drop(worker.spawn_thread());
    Ok((notifier.clone(), Recorder { notifier, monitor }))
}

/// The notifications that a [`recorder`]'s notifier has delivered, and the faults that it simulates.
///
/// The recorder holds a clone of the notifier, so the notifier stays open until you drop both.
#[derive(Debug)]
pub struct Recorder {
    notifier: Notifier,
    monitor: Arc<RecorderMonitor>,
}

impl Recorder {
    /// Removes and returns the notifications delivered since the last call, in order.
    ///
    /// Waits until the worker has settled everything emitted before this call, or until an attempt
    /// fails because of [`fail_until`](Self::fail_until). Waits for ten seconds at most.
    ///
    /// # Examples
    ///
    /// ```
    /// use glance_notify::{Event, Payload};
    ///
    /// let (notifier, recorder) = glance_notify::testing::recorder();
    /// notifier.emit(&Event::ImageUpload(Payload::Error("disk is full".into())));
    /// assert_eq!(recorder.take().len(), 1);
    /// assert_eq!(recorder.take().len(), 0);
    /// ```
    pub fn take(&self) -> Vec<Notification> {
        let deadline = Instant::now() + TAKE_TIMEOUT;
        let mut state = self.monitor.lock();
        let failures = state.failures;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let account = self.notifier.stats();
            let is_failing =
                state.failures > failures || matches!(account.state, WorkerState::Retrying { .. });
            if account.pending.messages == 0 || is_failing || left.is_zero() {
                return state.delivered.drain(..).collect();
            }
            // The worker updates its account after the transport notifies, so poll as well.
            let wait = self.monitor.attempt_ended.wait_timeout(state, left.min(POLL_INTERVAL));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Refuses the next `count` notifications.
    ///
    /// Their receipts resolve to [`ErrorKind::Rejected`], and the recorder does not record them.
    /// Several calls add up.
    ///
    /// # Examples
    ///
    /// ```
    /// use glance_notify::{Event, Outcome, Payload};
    ///
    /// let (notifier, recorder) = glance_notify::testing::recorder();
    /// recorder.refuse_next(1);
    /// let mut receipt = notifier.emit(&Event::ImageUpload(Payload::Error("disk is full".into())));
    /// let error = receipt.wait(std::time::Duration::from_secs(10)).unwrap_err();
    /// assert_eq!(error.outcome(), Outcome::Rejected);
    /// ```
    pub fn refuse_next(&self, count: usize) {
        let mut state = self.monitor.lock();
        state.refusals_left = state.refusals_left.saturating_add(count);
    }

    /// Fails every attempt to deliver until `has_recovered` returns `true`, as if the destination
    /// were unreachable.
    ///
    /// The worker calls `has_recovered` once before each attempt. It keeps retrying, so no
    /// notification is lost: the first attempt that succeeds delivers them all.
    ///
    /// # Examples
    ///
    /// ```
    /// # let (_, recorder) = glance_notify::testing::recorder();
    /// let mut attempts = 0;
    /// recorder.fail_until(move || {
    ///     attempts += 1;
    ///     attempts > 2
    /// });
    /// ```
    pub fn fail_until(&self, has_recovered: impl FnMut() -> bool + Send + 'static) {
        self.monitor.lock().has_recovered = Some(Box::new(has_recovered));
    }
}

/// The state that the recorder and its transport share, with a condition that wakes `take`.
#[derive(Default)]
struct RecorderMonitor {
    state: Mutex<RecorderState>,
    attempt_ended: Condvar,
}

/// The recorded notifications and the simulated faults.
#[derive(Default)]
struct RecorderState {
    delivered: VecDeque<Notification>,
    refusals_left: usize,
    has_recovered: Option<Box<dyn FnMut() -> bool + Send>>,
    /// The number of attempts that failed because of `has_recovered`.
    failures: u64,
}

impl RecorderMonitor {
    /// Locks the state, also after a panic in the program under test.
    fn lock(&self) -> MutexGuard<'_, RecorderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RecorderMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("RecorderMonitor")
            .field("delivered", &state.delivered.len())
            .field("refusals_left", &state.refusals_left)
            .field("is_failing", &state.has_recovered.is_some())
            .finish_non_exhaustive()
    }
}

/// The transport that records its messages.
#[derive(Debug)]
struct RecorderTransport(Arc<RecorderMonitor>);

#[async_trait]
impl Transport for RecorderTransport {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        // Call the closure without the lock, because it may use the recorder itself.
        let has_recovered = self.0.lock().has_recovered.take();
        if let Some(mut has_recovered) = has_recovered
            && !has_recovered()
        {
            let mut state = self.0.lock();
            state.has_recovered.get_or_insert(has_recovered);
            state.failures += 1;
            drop(state);
            self.0.attempt_ended.notify_all();
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the recorder simulates an unreachable destination",
            ));
        }
        for index in 0..batch.messages().len() {
            let mut state = self.0.lock();
            let verdict = if state.refusals_left > 0 {
                state.refusals_left -= 1;
                Verdict::Refuse(Error::new(ErrorKind::Rejected, "the recorder simulates a refusal"))
            } else {
                match Notification::decode(batch.messages()[index].body()) {
                    Ok(mut notification) => {
                        // Tests compare events. Redaction may have changed the shape.
                        if let Ok(event) = notification.payload.to_event() {
                            notification.payload = event.into();
                        }
                        state.delivered.push_back(notification);
                        Verdict::Accept
                    }
                    Err(error) => Verdict::Refuse(error),
                }
            };
            drop(state);
            batch.settle(index, verdict);
        }
        self.0.attempt_ended.notify_all();
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The longest that [`Recorder::take`] waits.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that [`Recorder::take`] waits between two looks at the account.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use notify_core::Outcome;
    use notify_core::event::{Event, NotificationPayload, Payload};

    use super::*;

    /// Returns an event that carries `text`.
    fn event(text: &str) -> Event {
        Event::ImageUpload(Payload::Error(text.into()))
    }

    /// Returns the texts that the notifications carry.
    fn texts(notifications: &[Notification]) -> Vec<String> {
        let text = |notification: &Notification| match &notification.payload {
            NotificationPayload::Constructed(Event::ImageUpload(Payload::Error(text))) => {
                text.clone()
            }
            other => panic!("{other:?}"),
        };
        notifications.iter().map(text).collect()
    }

    /// A test sees each notification once, in the order of `emit`.
    #[test]
    fn take_returns_each_notification_once_and_in_order() {
        let (notifier, recorder) = recorder();
        for number in 0..100 {
            notifier.emit(&event(&number.to_string()));
        }
        let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(texts(&recorder.take()), expected);
        assert!(recorder.take().is_empty());
    }

    /// A test sets the options of its program, and hears of invalid ones.
    #[test]
    fn recorder_with_sets_options() {
        let (notifier, recorder) =
            recorder_with(|builder| builder.disabled(["image.upload"])).unwrap();
        notifier.emit(&event("a"));
        assert!(recorder.take().is_empty());
        let error = recorder_with(|builder| builder.publisher_id("")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    /// Redaction happens before the recorder, as before every destination.
    #[test]
    fn records_the_redacted_notification() {
        let (notifier, recorder) = recorder();
        notifier.emit(&event("cannot reach swift://user:hunter2@host/c"));
        assert_eq!(texts(&recorder.take()), ["cannot reach swift://***@host/c"]);
    }

    /// The refusals end after `count` notifications, and receipts report them.
    #[test]
    fn refuse_next_refuses_exactly_that_many() {
        let (notifier, recorder) = recorder();
        recorder.refuse_next(2);
        let mut receipts: Vec<_> = ["a", "b", "c"].map(|text| notifier.emit(&event(text))).into();
        assert_eq!(texts(&recorder.take()), ["c"]);
        let mut outcome = |index: usize| receipts[index].wait(Duration::from_secs(10));
        assert_eq!(outcome(0).unwrap_err().outcome(), Outcome::Rejected);
        assert_eq!(outcome(1).unwrap_err().kind(), ErrorKind::Rejected);
        outcome(2).unwrap();
    }

    /// A simulated outage delays notifications and loses none.
    #[tokio::test]
    async fn fail_until_delays_delivery_and_loses_nothing() {
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
