//! The worker: the one task that delivers, with the stage behind it.
//!
//! It only runs things side by side: the shared runner, the runners of silent lanes, the stage, and the
//! workers of the other destinations.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::SendError;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::lane_queues::LaneScope;
use super::queue::Queue;
use super::runner::{CLOSE_TIMEOUT, Runner};
use super::stage::Stage;
use super::stats::Stats;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Transport;

/// The half of a pipeline that delivers the messages of a [`Notifier`](super::Notifier).
///
/// The notifier delivers nothing until you run the worker, either as a task with
/// [`run`](Self::run) or on its own thread with [`spawn_thread`](Self::spawn_thread).
///
/// The worker ends when the notifier is closed, or all its clones are dropped, and then either every
/// message is delivered or the drain timeout has passed. Dropping a worker settles all pending
/// messages: their receipts resolve to [`NotSent`](crate::Outcome::NotSent), or to
/// [`Unknown`](crate::Outcome::Unknown) if the transport tried to send them.
///
/// # Examples
///
/// In a program with a tokio runtime, the worker is a task, which returns the final account:
///
/// ```
/// # use notify_conformance::script::Script;
/// # use notify_core::event::Payload;
/// # use notify_core::{Event, Notifier};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport).build()?;
/// let worker = tokio::spawn(worker.run());
/// notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
/// drop(notifier);
/// let stats = worker.await.expect("the worker does not panic");
/// assert_eq!(stats.delivered, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Worker {
    queue: Arc<Queue>,
    /// The attempts of all lanes but those that are silent.
    runner: Runner,
    pub(super) stage: Option<Box<dyn Stage>>,
    /// The workers of the other destinations.
    pub(super) others: Vec<Self>,
}

impl Worker {
    /// Returns a worker that has no stage and does not run yet.
    pub(super) fn new(
        transport: Box<dyn Transport>,
        queue: Arc<Queue>,
        attempt_timeout: Duration,
    ) -> Self {
        let runner = Runner::new(transport, Arc::clone(&queue), LaneScope::Shared, attempt_timeout);
        Self { queue, runner, stage: None, others: Vec::new() }
    }

    /// Runs until the notifier is closed and drained, and returns the final account.
    ///
    /// In that account `suppressed` is 0, because only the notifier counts suppressed notifications.
    /// With several destinations it is the account of the first one, and the worker runs until all of
    /// them are drained. On a runtime with several threads each destination is a task of its own, so a
    /// transport that blocks its thread delays no other.
    ///
    /// If a transport panics, the other destinations are drained first, and then the panic goes on.
    ///
    /// Needs a tokio runtime with its timer enabled, and with I/O enabled for transports that do I/O.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the worker. The tasks of several destinations are aborted then, and the
    /// runtime drops each of them as soon as its thread is free.
    pub async fn run(mut self) -> Stats {
        let mut workers = std::mem::take(&mut self.others);
        if workers.is_empty() {
            return self.run_one().await;
        }
        let queue = Arc::clone(&self.queue);
        workers.insert(0, self);
        let panic = if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            // Tasks on a single thread would not be more independent.
            Self::run_side_by_side(workers).await
        } else {
            Self::run_tasks(workers).await
        };
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        queue.stats(0)
    }

    /// Runs destinations as a task each. Returns the panic of a transport, after all of them have ended.
    async fn run_tasks(workers: Vec<Self>) -> Option<PanicPayload> {
        let mut tasks: JoinSet<Stats> = workers.into_iter().map(Self::run_one).collect();
        let mut panic = None;
        while let Some(ended) = tasks.join_next().await {
            // A task that did not panic was cancelled by a runtime that shuts down.
            panic = ended.err().and_then(|error| error.try_into_panic().ok()).or(panic);
        }
        panic
    }

    /// Runs destinations in the calling task. Returns the panic of a transport, after all of them have ended.
    async fn run_side_by_side(workers: Vec<Self>) -> Option<PanicPayload> {
        // A worker that panics is dropped, so nothing sees a broken state.
        let run = |worker: Self| AssertUnwindSafe(worker.run_one()).catch_unwind();
        let mut running: FuturesUnordered<_> = workers.into_iter().map(run).collect();
        let mut panic = None;
        while let Some(ended) = running.next().await {
            panic = ended.err().or(panic);
        }
        panic
    }

    /// Runs the worker of one destination, and returns its final account.
    async fn run_one(mut self) -> Stats {
        let Some(stage) = self.stage.take() else { return self.deliver().await };
        let drain_until = self.queue.drain_until();
        let (closed, closing) = oneshot::channel();
        let deliver = async {
            let stats = self.deliver().await;
            let until = *drain_until.borrow();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Sending fails if the stage ended by itself.
            closed.send(left.unwrap_or_default()).ok();
            stats
        };
        let closing = Box::pin(async { closing.await.unwrap_or_default() });
        let (stats, ()) = tokio::join!(deliver, stage.run(closing));
        stats
    }

    /// Runs the worker on a thread and runtime of its own, and each further destination too.
    ///
    /// Use it in a program without a runtime, and in one that emits more notifications than a single
    /// thread can both emit and deliver. Join the thread to get the final account.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], when the system gives no thread or no runtime. All queued messages
    /// are then settled, as if the worker had been dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// # use notify_core::event::Payload;
    /// # use notify_core::{Event, Notifier};
    /// # let transport = Script::default().transport();
    /// let (notifier, worker) = Notifier::builder(transport).build()?;
    /// let worker = worker.spawn_thread()?;
    /// notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into())));
    /// notifier.close();
    /// let stats = worker.join().expect("the worker does not panic");
    /// assert_eq!(stats.delivered, 1);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn spawn_thread(self) -> Result<JoinHandle<Stats>> {
        self.start_thread().map_err(|(_, error)| {
            Error::new(ErrorKind::Unavailable, "cannot start the worker's thread")
                .with_source(error)
        })
    }

    /// Starts a thread for this destination, which starts one for each of the others.
    ///
    /// # Errors
    ///
    /// The worker, and the error of the system.
    fn start_thread(self) -> std::result::Result<JoinHandle<Stats>, (Box<Self>, io::Error)> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Err((Box::new(self), error)),
        };
        // The thread gets both when it exists, so that a failed start gives them back.
        let (give, given) = std::sync::mpsc::channel::<(Self, Runtime)>();
        let thread = std::thread::Builder::new().name("glance-notify".into()).spawn(move || {
            given
                .recv()
                .map_or_else(|_| Stats::default(), |(worker, runtime)| worker.run_threads(runtime))
        });
        let (worker, runtime, error) = match thread {
            Ok(thread) => match give.send((self, runtime)) {
                Ok(()) => return Ok(thread),
                Err(SendError((worker, runtime))) => {
                    (worker, runtime, io::Error::from(io::ErrorKind::BrokenPipe))
                }
            },
            Err(error) => (self, runtime, error),
        };
        // A caller inside a runtime must not drop another one.
        runtime.shutdown_background();
        Err((Box::new(worker), error))
    }

    /// Runs this destination on the calling thread, and each of the others on one of its own. One for which
    /// the system has no thread shares this one.
    fn run_threads(mut self, runtime: Runtime) -> Stats {
        let mut threads = Vec::new();
        for other in std::mem::take(&mut self.others) {
            match other.start_thread() {
                Ok(thread) => threads.push(thread),
                Err((other, _)) => self.others.push(*other),
            }
        }
        // The other threads are joined before the panic of a transport goes on.
        let mut stats = runtime.block_on(AssertUnwindSafe(self.run()).catch_unwind());
        // Do not wait for a DNS lookup that hangs on one of the runtime's threads.
        runtime.shutdown_background();
        for thread in threads {
            if let Err(panic) = thread.join() {
                stats = Err(panic);
            }
        }
        stats.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Returns the longest time from the drain deadline to the end of a worker.
    pub(super) fn close_allowance(has_stage: bool) -> Duration {
        CLOSE_TIMEOUT * if has_stage { 2 } else { 1 } + Duration::from_secs(1)
    }

    /// Delivers until the queue is closed and empty, or the drain deadline passes.
    ///
    /// The attempts of silent lanes run beside those of the others, in the same task.
    async fn deliver(&mut self) -> Stats {
        self.queue.start();
        let (isolate, mut isolated) = mpsc::unbounded_channel::<Runner>();
        let runner = &mut self.runner;
        let shared = async {
            runner.run(&isolate).await;
            drop(isolate);
        };
        let silent_lanes = async {
            let mut running = FuturesUnordered::new();
            loop {
                tokio::select! {
                    biased;
                    Some(mut runner) = isolated.recv() => running.push(async move {
                        // A runner of one lane isolates no other.
                        runner.run(&mpsc::unbounded_channel().0).await;
                    }),
                    Some(()) = running.next() => {}
                    else => break,
                }
            }
        };
        tokio::join!(shared, silent_lanes);
        // Silent lanes may have put messages back meanwhile.
        self.queue.end();
        self.queue.stats(0)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.end();
        // Not in `end`: `shutdown` waits for this, and must wait until the transport is closed.
        self.queue.ended.send_replace(true);
    }
}

/// The value that a transport panicked with.
type PanicPayload = Box<dyn Any + Send>;
