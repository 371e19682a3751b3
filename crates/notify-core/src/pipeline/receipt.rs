//! The receipt of one notification: a future that resolves to its outcome at all required destinations.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use uuid::Uuid;

use super::destination_outcome::{DestinationOutcome, DestinationProgress};
use super::registry::QueueId;
use crate::error::{Error, ErrorKind, Outcome, Result};

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
    /// The queue of a waiting receipt.
    queue: Option<QueueId>,
    state: ReceiptState,
}

/// The outcome, or the channel that it comes through.
#[derive(Debug)]
enum ReceiptState {
    Waiting(oneshot::Receiver<Result<()>>),
    Decided(Result<()>),
    /// The receipts at several destinations. Boxed, so that a receipt of one destination stays small
    /// and its drop stays in the caller: a suppressed `emit` took 6 ns more without it.
    Several(Box<DestinationReceipts>),
}

/// The receipts of one notification at several destinations, in their order.
#[derive(Debug)]
struct DestinationReceipts {
    labels: Arc<[DestinationLabel]>,
    /// `None` if the filter of the destination leaves the notification out.
    receipts: Vec<Option<Receipt>>,
}

/// The part of a destination that its receipts show. All receipts of a notifier share it.
#[derive(Clone, Debug)]
pub(super) struct DestinationLabel {
    /// The name of the destination; empty without one.
    pub(super) name: Arc<str>,
    pub(super) required: bool,
}

impl Receipt {
    /// Returns a receipt that has its outcome, for a notification that never enters the queue.
    pub(super) fn decided(message_id: Option<Uuid>, result: Result<()>) -> Self {
        Self { message_id, queue: None, state: ReceiptState::Decided(result) }
    }

    /// Returns the receipt of a queued message.
    pub(super) fn waiting(
        message_id: Uuid,
        outcome: oneshot::Receiver<Result<()>>,
        queue: QueueId,
    ) -> Self {
        let state = ReceiptState::Waiting(outcome);
        Self { message_id: Some(message_id), queue: Some(queue), state }
    }

    /// Returns the receipt of a notification for the destinations of `labels`, or for a single one with a
    /// filter. The receipt of a destination is `None` if its filter leaves the notification out.
    pub(super) fn of_destinations(
        labels: &Arc<[DestinationLabel]>,
        mut receipts: Vec<Option<Self>>,
    ) -> Self {
        if receipts.len() == 1 {
            let only = receipts.pop().flatten();
            return only.unwrap_or_else(|| Self::decided(None, Ok(())));
        }
        let message_id = receipts.iter().flatten().find_map(|it| it.message_id);
        let receipts = DestinationReceipts { labels: Arc::clone(labels), receipts };
        Self { message_id, queue: None, state: ReceiptState::Several(Box::new(receipts)) }
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
        let ReceiptState::Several(receipts) = &mut self.state else {
            let progress = self.progress();
            return vec![DestinationOutcome { destination: "".into(), required: true, progress }];
        };
        let DestinationReceipts { labels, receipts } = &mut **receipts;
        let outcome =
            |(label, receipt): (&DestinationLabel, &mut Option<Self>)| DestinationOutcome {
                destination: Arc::clone(&label.name),
                required: label.required,
                progress: receipt.as_mut().map_or(DestinationProgress::Filtered, Self::progress),
            };
        labels.iter().zip(receipts).map(outcome).collect()
    }

    /// Returns the present progress of a receipt of one destination.
    fn progress(&mut self) -> DestinationProgress {
        let result = match &mut self.state {
            ReceiptState::Decided(Ok(())) if self.message_id.is_none() => {
                return DestinationProgress::Filtered;
            }
            ReceiptState::Decided(result) => return DestinationProgress::Ended(result.clone()),
            ReceiptState::Waiting(outcome) => match outcome.try_recv() {
                Err(TryRecvError::Empty) => return DestinationProgress::Pending,
                Err(TryRecvError::Closed) => Err(worker_gone()),
                Ok(result) => result,
            },
            ReceiptState::Several(_) => return DestinationProgress::Pending,
        };
        self.state = ReceiptState::Decided(result.clone());
        DestinationProgress::Ended(result)
    }

    /// Blocks the calling thread until the outcome is known, for programs without a runtime.
    ///
    /// Do not call it in an async task unless the receipt has its outcome: it blocks the runtime's
    /// thread.
    ///
    /// # Errors
    ///
    /// The notification's own error. After `timeout`, [`ErrorKind::Timeout`] with
    /// [`Outcome::Unknown`]: the notification is still pending, and you can wait again. The error says
    /// if the worker does not run; its source is the last failure of the delivery.
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
        // `unconstrained`: in a task that used up its budget, tokio would return `Pending` for ready
        // outcomes too, and this loop would never end.
        let mut outcome = pin!(tokio::task::unconstrained(&mut *self));
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
        match &self.state {
            ReceiptState::Several(receipts) => {
                let mut each = receipts.labels.iter().zip(&receipts.receipts);
                let waiting = each.find_map(|(label, receipt)| {
                    let receipt = receipt.as_ref().filter(|_| label.required)?;
                    matches!(receipt.state, ReceiptState::Waiting(_)).then_some((label, receipt))
                });
                waiting.map_or_else(worker_gone, |(label, receipt)| {
                    at_destination(&label.name, &receipt.undecided(waited))
                })
            }
            ReceiptState::Waiting(_) | ReceiptState::Decided(_) => {
                let queue = self.queue.and_then(QueueId::queue);
                queue.map_or_else(worker_gone, |queue| queue.undecided(waited))
            }
        }
    }
}

/// Resolves to the outcome. After that, polling again returns the same outcome.
impl Future for Receipt {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.state {
            ReceiptState::Decided(result) => return Poll::Ready(result.clone()),
            ReceiptState::Waiting(outcome) => match Pin::new(outcome).poll(context) {
                Poll::Pending => {
                    Self::note_wait();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(result)) => result,
                Poll::Ready(Err(_)) => Err(worker_gone()),
            },
            ReceiptState::Several(receipts) => return receipts.poll_required(context),
        };
        self.state = ReceiptState::Decided(result.clone());
        Poll::Ready(result)
    }
}

impl DestinationReceipts {
    /// Polls the receipts of all required destinations. Returns the first error once they all have decided.
    fn poll_required(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut result = Poll::Ready(Ok(()));
        for (label, receipt) in self.labels.iter().zip(&mut self.receipts) {
            let Some(receipt) = receipt.as_mut().filter(|_| label.required) else { continue };
            match Pin::new(receipt).poll(context) {
                Poll::Pending => result = Poll::Pending,
                Poll::Ready(Err(error)) if matches!(result, Poll::Ready(Ok(()))) => {
                    result = Poll::Ready(Err(at_destination(&label.name, &error)));
                }
                Poll::Ready(_) => {}
            }
        }
        result
    }
}

/// Returns the error of one of several destinations.
fn at_destination(destination: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("destination `{destination}` failed"))
        .with_outcome(error.outcome())
        .with_source(error.clone())
}

/// Returns the error for a message whose record was dropped without an outcome.
fn worker_gone() -> Error {
    Error::new(ErrorKind::Closed, "the worker is gone").with_outcome(Outcome::Unknown)
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
