//! What `emit` hands back: a claim on the outcome of one notification.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Outcome, Result};

/// Resolves when the fate of one notification is decided.
///
/// Dropping it changes nothing: the notification is delivered all the same. It resolves to `Ok` when
/// the destination took the notification, or when nobody wanted it; to an error whose
/// [`outcome`](Error::outcome) says what became of it otherwise. It always resolves, because a worker
/// that ends, or is dropped, decides everything it still held.
#[derive(Debug)]
pub struct Receipt {
    message_id: Option<Uuid>,
    state: ReceiptState,
}

#[derive(Debug)]
enum ReceiptState {
    Waiting(oneshot::Receiver<Result<()>>),
    Decided(Result<()>),
}

impl Receipt {
    /// The notification was decided before it was queued.
    pub(super) fn decided(message_id: Option<Uuid>, result: Result<()>) -> Self {
        Self { message_id, state: ReceiptState::Decided(result) }
    }

    pub(super) fn waiting(message_id: Uuid, outcome: oneshot::Receiver<Result<()>>) -> Self {
        Self { message_id: Some(message_id), state: ReceiptState::Waiting(outcome) }
    }

    /// Somebody waits for a receipt, or for several.
    pub(super) fn note_wait() {
        WAITS.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was so far.
    pub(super) fn waits() -> u64 {
        WAITS.load(Ordering::Relaxed)
    }

    /// The notification's id; `None` for one that nobody wanted or that could not be encoded.
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// BlockQueue the calling thread until the outcome is known, for programs without a runtime.
    ///
    /// # Errors
    ///
    /// The notification's own; or, after `timeout`, [`ErrorKind::Timeout`] with
    /// [`Outcome::Unknown`]: the notification is still on its way, and the receipt can be waited for
    /// again.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        // Called in a task that has used up its turn, tokio would say for ever that nothing is known.
        let mut outcome = pin!(tokio::task::unconstrained(&mut *self));
        loop {
            if let Poll::Ready(result) = outcome.as_mut().poll(&mut context) {
                return result;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return Err(undecided(timeout)),
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }
}

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

/// The error of whoever waited for an outcome for `waited` in vain.
pub(super) fn undecided(waited: Duration) -> Error {
    let message = format!(
        "undecided after {} s: the notification stays queued and may still be delivered",
        waited.as_secs_f64()
    );
    Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Unknown)
}

fn worker_gone() -> Error {
    Error::new(ErrorKind::Closed, "the worker is gone").with_outcome(Outcome::Unknown)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Of all notifiers together, so that a receipt that nobody waits for costs nothing.
static WAITS: AtomicU64 = AtomicU64::new(0);
