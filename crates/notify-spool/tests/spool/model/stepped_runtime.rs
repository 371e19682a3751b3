//! A runtime with a paused clock, and the work of all slots, in the thread of the test.
//!
//! Nothing runs and no time passes but in the steps of the test. So a real thread that is slow on a busy
//! machine cannot change the course of a test.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::executor::StepExecutor;

/// The tasks and the slots of one process.
pub(crate) struct SteppedRuntime {
    /// Keeps a blocking task alive, so that the paused clock does not move by itself. It must end before
    /// the runtime does.
    clock: mpsc::Sender<()>,
    pub(crate) runtime: Runtime,
    pub(crate) executor: Arc<StepExecutor>,
}

impl SteppedRuntime {
    /// Returns a runtime without tasks.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (clock, stopped) = mpsc::channel::<()>();
        // A paused clock jumps ahead when every task is idle, even if the test has steps left. A
        // blocking task prevents that.
        runtime.spawn_blocking(move || stopped.recv());
        Self { clock, runtime, executor: Arc::default() }
    }

    /// Lets all tasks and the threads of the spool run for a moment, then moves the clock.
    pub(crate) fn proceed(&self, time: Duration) {
        for _ in 0..4 {
            self.runtime.block_on(async {
                for _ in 0..10 {
                    yield_now().await;
                }
            });
            // The threads read the clock of the runtime.
            let _runtime = self.runtime.enter();
            self.executor.step();
        }
        self.runtime.block_on(tokio::time::advance(time));
    }

    /// Proceeds in steps of `step` until `condition` holds. On a timeout, panics with what `state` returns.
    pub(crate) fn until(
        &self,
        what: &str,
        step: Duration,
        mut condition: impl FnMut() -> bool,
        state: impl FnOnce() -> String,
    ) {
        for _ in 0..MAX_TURNS {
            if condition() {
                return;
            }
            self.proceed(step);
        }
        panic!("timed out after {MAX_TURNS} turns: {what}: {}", state());
    }

    /// Runs `future` in steps of `step` until it ends.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        what: &str,
        step: Duration,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = self.runtime.spawn(future);
        self.until(what, step, || task.is_finished(), String::new);
        self.runtime.block_on(task).unwrap()
    }

    /// Returns the time of the paused clock.
    pub(crate) fn now(&self) -> Instant {
        let _runtime = self.runtime.enter();
        Instant::now()
    }

    /// Drops all tasks and returns the executor, whose works may go on.
    pub(crate) fn end(self) -> Arc<StepExecutor> {
        let Self { clock, runtime, executor } = self;
        drop(clock);
        drop(runtime);
        executor
    }
}

/// The largest number of turns that a test waits.
const MAX_TURNS: usize = 3_000;
