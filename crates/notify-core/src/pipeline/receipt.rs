//! The receipt of one notification: a future that resolves to its outcome.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::registry::QueueId;
use crate::error::{Error, ErrorKind, Outcome, Result};

/// A future that resolves to the outcome of one notification.
///
/// It resolves to `Ok` when the destination accepted the notification, and when its type is disabled or
/// unwanted by the transport. Otherwise it resolves to an error whose [`outcome`](Error::outcome) says what is known of the
/// notification. It always resolves, because a worker that ends or is dropped settles all its messages.
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
    /// `None` when its type is disabled or unwanted, and when its encoding failed.
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
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
        let queue = self.queue;
        let mut outcome = pin!(tokio::task::unconstrained(&mut *self));
        loop {
            if let Poll::Ready(result) = outcome.as_mut().poll(&mut context) {
                return result;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => {
                    let queue = queue.and_then(QueueId::queue);
                    return Err(queue.map_or_else(worker_gone, |it| it.undecided(timeout)));
                }
                Some(left) => std::thread::park_timeout(left),
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
        };
        self.state = ReceiptState::Decided(result.clone());
        Poll::Ready(result)
    }
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
