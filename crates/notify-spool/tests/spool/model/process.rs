//! One simulated process: a notifier with a spool, whose tasks and threads the test runs step by step.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use notify_core::pipeline::{QueueConfig, Stats};
use notify_core::{Message, Notifier};
use notify_spool::{Config, CorruptSlotPolicy, FullSpoolPolicy, Spool};
use notify_testbed::disk::FaultyDisk;
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use super::environment::{ProcessDisk, SimulatedDestination, SimulatedFiles};
use super::executor::StepExecutor;
use super::steps::ModelSettings;
use crate::support::send_once;

/// A process that stores and forwards.
pub(crate) struct SimulatedProcess {
    /// Keeps a blocking task alive, so that the paused clock does not move by itself. It must end before
    /// the runtime does.
    clock: mpsc::Sender<()>,
    pub(crate) runtime: Runtime,
    pub(crate) notifier: Notifier,
    worker: JoinHandle<Stats>,
    executor: Arc<StepExecutor>,
    config: Config,
    destination: SimulatedDestination,
    /// The number of processes that ended before this one started.
    pub(crate) predecessors: u64,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// Its threads finish.
    Orderly,
    /// Its threads stop in the middle.
    Killed,
}

impl SimulatedProcess {
    /// Starts a process on the disk.
    pub(crate) fn start(
        dir: &Path,
        disk: &FaultyDisk,
        files: &SimulatedFiles,
        destination: &SimulatedDestination,
        settings: &ModelSettings,
    ) -> Self {
        let executor = Arc::new(StepExecutor::default());
        let process_disk = ProcessDisk::with_files(disk, Arc::clone(files));
        let mut config = Config::new(dir)
            .on_disk(process_disk)
            .executed_by(Arc::clone(&executor) as _)
            .seeded(settings.seed);
        config.max_messages = settings.max_messages;
        config.batch_messages = settings.forward_batch;
        config.on_corrupt = CorruptSlotPolicy::Quarantine;
        if settings.refuses_when_full {
            config.when_full = FullSpoolPolicy::Refuse;
        }
        let (spool, forwarder) = Spool::open(config.clone(), destination.connect()).unwrap();
        let mut queue = QueueConfig::default();
        queue.batch_messages = settings.store_batch;
        let (notifier, worker) = Notifier::builder(spool)
            .publisher_id("host1")
            .queue(queue)
            .seed(settings.seed)
            .behind(forwarder)
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let (clock, stopped) = mpsc::channel::<()>();
        // A paused clock jumps ahead when every task is idle, even if the test has steps left. A
        // blocking task prevents that.
        runtime.spawn_blocking(move || stopped.recv());
        let worker = runtime.spawn(worker.run());
        let (destination, predecessors) = (destination.clone(), disk.ended_processes());
        Self { clock, runtime, notifier, worker, executor, config, destination, predecessors }
    }

    /// Lets the disk hang, or lets it go on.
    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.executor.set_hanging(hangs);
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

    /// Proceeds in steps of `step` until `condition` holds.
    pub(crate) fn until(&self, what: &str, step: Duration, mut condition: impl FnMut() -> bool) {
        for _ in 0..MAX_TURNS {
            if condition() {
                return;
            }
            self.proceed(step);
        }
        panic!("timed out after {MAX_TURNS} turns: {what}: {:?}", self.notifier.stages());
    }

    /// Shuts the notifier down. The shutdown ends within the drain time and 11 s, whatever hangs.
    pub(crate) fn shut_down(&self, drain: Duration) {
        let notifier = self.notifier.clone();
        let begin = self.now();
        let ended = self.runtime.spawn(async move { notifier.shutdown(drain).await });
        let is_over = || ended.is_finished() && self.worker.is_finished();
        self.until("the shutdown", Duration::from_millis(50), is_over);
        let elapsed = self.now() - begin;
        assert!(elapsed <= drain + Duration::from_secs(11), "{elapsed:?} for {drain:?}");
    }

    /// Stores `messages` as another process in the same directory does, and ends that. Returns how many
    /// of them it accepted.
    pub(crate) fn leave_orphan(&self, messages: Vec<Message>) -> usize {
        let destination = Box::new(self.destination.clone());
        let (mut spool, _) = Spool::open(self.config.clone(), destination).unwrap();
        let storing = self.runtime.spawn(async move { send_once(&mut spool, &messages).await.0 });
        self.until("an answer of the disk", Duration::from_secs(1), || storing.is_finished());
        self.runtime.block_on(storing).unwrap()
    }

    /// Ends the process.
    pub(crate) fn end(self, end: ProcessEnd) {
        let Self { clock, runtime, notifier, worker, executor, .. } = self;
        drop((notifier, worker, clock));
        drop(runtime);
        match end {
            ProcessEnd::Orderly => executor.finish(),
            ProcessEnd::Killed => executor.kill(),
        }
    }

    /// Whether the disk hangs.
    pub(crate) fn hangs(&self) -> bool {
        self.executor.hangs()
    }

    fn now(&self) -> Instant {
        let _runtime = self.runtime.enter();
        Instant::now()
    }
}

/// The largest number of turns that a test waits.
const MAX_TURNS: usize = 3_000;
