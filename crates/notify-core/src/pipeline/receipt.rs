//! The receipt of one notification: a future that resolves to its outcome at all required destinations.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::destination_outcome::{DestinationOutcome, DestinationProgress};
use super::outcome_slot::{OutcomeSender, OutcomeSlot, OutcomeSlots, worker_gone};
use super::registry::QueueId;
use crate::error::{Error, Result};

/// A future that resolves to the outcome of one notification.
///
/// It resolves to `Ok` when the destination accepted the notification, and when the destination does not get
/// it: its type is disabled, left out by the filter or unwanted by the transport. Otherwise it resolves to an
/// error whose [`outcome`](Error::outcome) says what is known of the notification. It always resolves, because
/// a worker that ends or is dropped settles all its messages.
///
/// With several destinations, it waits for the required ones and resolves to the error of the first of
/// them that failed. [`by_destination`](Self::by_destination) returns the outcome at each.
///
/// Dropping a receipt changes nothing: the worker delivers the notification all the same.
///
/// # Examples
///
/// In an async program, await the receipt, with a timeout of your own:
///
/// ```
/// # use notify_conformance::script::Script;
/// # use notify_core::event::Payload;
/// # use notify_core::{Event, Notifier};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let (notifier, worker) = Notifier::builder(Script::default().transport()).build()?;
/// # tokio::spawn(worker.run());
/// # let event = Event::ImageUpload(Payload::Warn("the store is slow".into()));
/// let receipt = notifier.emit(&event);
/// let id = receipt.message_id();
/// match receipt.await {
///     Ok(()) => println!("{id:?} was delivered"),
///     Err(error) => println!("{id:?} is lost or in doubt ({:?}): {error:#}", error.outcome()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Receipt {
    message_id: Option<Uuid>,
    state: ReceiptState,
}

/// The outcome, or the slots that it comes through.
#[derive(Debug)]
enum ReceiptState {
    /// The outcome of a notification that entered no queue.
    Decided(Result<()>),
    Queued {
        slots: OutcomeSlots,
        destinations: ReceiptDestinations,
    },
}

/// The destinations that a receipt tells about.
#[derive(Debug)]
enum ReceiptDestinations {
    /// A single one, which has no label. A reference to one would cost every `emit`.
    One(QueueId),
    Several(Arc<[DestinationLabel]>),
}

/// The part of a destination that its receipts show. All receipts of a notifier share it.
#[derive(Clone, Debug)]
pub(super) struct DestinationLabel {
    /// The name of the destination; empty without one.
    pub(super) name: Arc<str>,
    pub(super) required: bool,
    pub(super) queue: QueueId,
}

impl Receipt {
    /// Returns a receipt that has its outcome, for a notification that never enters the queue.
    pub(super) fn decided(message_id: Option<Uuid>, result: Result<()>) -> Self {
        Self { message_id, state: ReceiptState::Decided(result) }
    }

    /// Returns the receipt of a message for the queue of a single destination, and the sender for its
    /// outcome.
    pub(super) fn single(message_id: Uuid, queue: QueueId) -> (Self, OutcomeSender) {
        let slots = OutcomeSlots::new(1);
        let sender = slots.sender(0);
        let state = ReceiptState::Queued { slots, destinations: ReceiptDestinations::One(queue) };
        (Self { message_id: Some(message_id), state }, sender)
    }

    /// Returns the receipt of a notification for the destinations of `labels`, or for a single one with a
    /// filter. `message_id` is `None` if no destination gets the notification.
    pub(super) fn of_destinations(
        labels: &Arc<[DestinationLabel]>,
        slots: OutcomeSlots,
        message_id: Option<Uuid>,
    ) -> Self {
        let destinations = match &**labels {
            [label] => ReceiptDestinations::One(label.queue),
            _ => ReceiptDestinations::Several(Arc::clone(labels)),
        };
        Self { message_id, state: ReceiptState::Queued { slots, destinations } }
    }

    /// Notes that a caller starts to wait for an outcome, so that batches do not linger.
    pub(super) fn note_wait() {
        WAITS.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often callers started to wait, over all notifiers of the process.
    pub(super) fn wait_count() -> u64 {
        WAITS.load(Ordering::Relaxed)
    }

    /// Returns the notification's `message_id`.
    ///
    /// `None` when no destination gets it, and when its encoding failed.
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// Returns the present progress of the notification at each destination, in their order.
    ///
    /// A receipt resolves once the required destinations have decided. Others may follow later, so you can
    /// call this again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::pipeline::DestinationProgress;
    /// use notify_core::{Event, Notifier};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let (file, broker) = (Script::default().transport(), Script::default().transport());
    /// let failures = Notifier::builder(broker).named("failures").events(["*.failure".parse()?]);
    /// let (notifier, worker) =
    ///     Notifier::builder(file).named("audit").destination(failures).build()?;
    /// tokio::spawn(worker.run());
    ///
    /// let mut receipt = notifier.emit(&Event::ImageUpload(Payload::Warn("slow".into())));
    /// (&mut receipt).await?;
    /// let outcomes = receipt.by_destination();
    /// assert_eq!(&*outcomes[0].destination, "audit");
    /// assert!(matches!(outcomes[0].progress, DestinationProgress::Ended(Ok(()))));
    /// assert!(matches!(outcomes[1].progress, DestinationProgress::Filtered));
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_destination(&mut self) -> Vec<DestinationOutcome> {
        let single = |progress| {
            vec![DestinationOutcome { destination: "".into(), required: true, progress }]
        };
        match &self.state {
            ReceiptState::Decided(Ok(())) if self.message_id.is_none() => {
                single(DestinationProgress::Filtered)
            }
            ReceiptState::Decided(result) => single(DestinationProgress::Ended(result.clone())),
            ReceiptState::Queued { slots, destinations: ReceiptDestinations::One(_) } => {
                slots.iter().map(progress).flat_map(single).collect()
            }
            ReceiptState::Queued { slots, destinations: ReceiptDestinations::Several(labels) } => {
                let outcome =
                    |(label, slot): (&DestinationLabel, &OutcomeSlot)| DestinationOutcome {
                        destination: Arc::clone(&label.name),
                        required: label.required,
                        progress: progress(slot),
                    };
                labels.iter().zip(slots.iter()).map(outcome).collect()
            }
        }
    }

    /// Blocks the calling thread until the outcome is known, for programs without a runtime.
    ///
    /// Do not call it in an async task unless the receipt has its outcome: it blocks the runtime's
    /// thread.
    ///
    /// # Errors
    ///
    /// The notification's own error. After `timeout`, [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown): the notification is still pending, and you can wait
    /// again. The error says if the worker does not run; its source is the last failure of the delivery.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let (notifier, worker) = Notifier::builder(transport).build()?;
    /// worker.spawn_thread()?;
    /// let mut receipt =
    ///     notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
    /// receipt.wait(Duration::from_secs(10))?;
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut outcome = pin!(&mut *self);
        loop {
            if let Poll::Ready(result) = outcome.as_mut().poll(&mut context) {
                return result;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => break,
                Some(left) => std::thread::park_timeout(left),
            }
        }
        Err(self.undecided(timeout))
    }

    /// Returns the error for a caller that waited `waited` without an outcome.
    pub(super) fn undecided(&self, waited: Duration) -> Error {
        let undecided = self.required().find(|(_, slot)| slot.outcome().is_none());
        // The outcome may have come meanwhile.
        let Some((destination, _)) = undecided.or_else(|| self.required().next()) else {
            return worker_gone();
        };
        let queue = destination.queue.queue();
        let error = queue.map_or_else(worker_gone, |queue| queue.undecided(waited));
        at_destination(destination.label, error)
    }

    /// Returns the destinations that the receipt waits for, each with its slot.
    fn required(&self) -> impl Iterator<Item = (ReceiptDestination<'_>, &OutcomeSlot)> {
        let queued = match &self.state {
            ReceiptState::Decided(_) => None,
            ReceiptState::Queued { slots, destinations } => Some((slots, destinations)),
        };
        let slots = queued.into_iter().flat_map(|(slots, destinations)| {
            slots.iter().enumerate().map(|(at, slot)| (destinations.get(at), slot))
        });
        slots.filter(|(destination, slot)| {
            !slot.is_filtered() && destination.label.is_none_or(|label| label.required)
        })
    }
}

/// One destination that a receipt tells about.
struct ReceiptDestination<'a> {
    queue: QueueId,
    /// `None` for a single one.
    label: Option<&'a DestinationLabel>,
}

impl ReceiptDestinations {
    /// Returns the destination with this index.
    fn get(&self, index: usize) -> ReceiptDestination<'_> {
        match self {
            Self::One(queue) => ReceiptDestination { queue: *queue, label: None },
            Self::Several(labels) => {
                let label = &labels[index];
                ReceiptDestination { queue: label.queue, label: Some(label) }
            }
        }
    }
}

/// Resolves to the outcome. After that, polling again returns the same outcome.
impl Future for Receipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let ReceiptState::Decided(result) = &self.state {
            return Poll::Ready(result.clone());
        }
        let mut result = Poll::Ready(Ok(()));
        for (destination, slot) in self.required() {
            match slot.poll(context) {
                Poll::Pending => result = Poll::Pending,
                Poll::Ready(Err(error)) if matches!(result, Poll::Ready(Ok(()))) => {
                    result = Poll::Ready(Err(at_destination(destination.label, error.clone())));
                }
                Poll::Ready(_) => {}
            }
        }
        if result.is_pending() {
            Self::note_wait();
        }
        if let ReceiptState::Queued { slots, .. } = &mut self.state {
            slots.has_waiter = result.is_pending();
        }
        result
    }
}

/// Returns the present progress of a notification at one destination.
fn progress(slot: &OutcomeSlot) -> DestinationProgress {
    match slot.outcome() {
        _ if slot.is_filtered() => DestinationProgress::Filtered,
        None => DestinationProgress::Pending,
        Some(result) => DestinationProgress::Ended(result.clone()),
    }
}

/// Returns the error of a destination, with its name if it has a label.
fn at_destination(label: Option<&DestinationLabel>, error: Error) -> Error {
    let Some(DestinationLabel { name, .. }) = label else { return error };
    Error::new(error.kind(), format!("destination `{name}` failed"))
        .with_outcome(error.outcome())
        .with_source(error)
}

/// A waker for a thread that is parked in [`Receipt::wait`].
struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The number of waits for receipts of all notifiers.
///
/// One counter for the process: a receipt needs no reference to its queue, and costs nothing unless a
/// caller waits for it.
static WAITS: AtomicU64 = AtomicU64::new(0);
