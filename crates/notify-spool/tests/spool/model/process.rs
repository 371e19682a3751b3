//! One simulated process: a notifier with a spool, whose tasks and threads the test runs step by step.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use notify_core::pipeline::{QueueConfig, Stats};
use notify_core::transport::{Lanes, Settlements};
use notify_core::{Batch, Message, Notifier, Result, Transport, Verdict};
use notify_spool::{Config, CorruptSlotPolicy, FullSpoolPolicy, Spool};
use notify_testbed::disk::FaultyDisk;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::environment::{ProcessDisk, SimulatedDestination, SimulatedFiles};
use super::stepped_runtime::SteppedRuntime;
use super::steps::ModelSettings;
use crate::support::send_once;

/// A process that stores and forwards.
pub(crate) struct SimulatedProcess {
    stepped: SteppedRuntime,
    pub(crate) notifier: Notifier,
    worker: JoinHandle<Stats>,
    config: Config,
    destination: SimulatedDestination,
    /// The number of processes that ended before this one started.
    pub(crate) predecessors: u64,
}

/// The spool of a process, which notes the messages that it declines.
#[derive(Debug)]
struct ObservedSpool {
    spool: Spool,
    /// The holder of the notes.
    destination: SimulatedDestination,
}

#[async_trait]
impl Transport for ObservedSpool {
    fn name(&self) -> &'static str {
        self.spool.name()
    }

    fn lanes(&self) -> Lanes {
        self.spool.lanes()
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let messages = batch.messages();
        let mut sink = |settlements: Settlements<'_>| {
            for (index, verdict) in settlements {
                if matches!(verdict, Verdict::Retry(_)) {
                    self.destination.state().declined_by_spool.insert(messages[index].id());
                }
                batch.settle(index, verdict);
            }
        };
        self.spool.send(&mut Batch::new(messages, &mut sink)).await
    }

    async fn close(&mut self) -> Result<()> {
        self.spool.close().await
    }
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
        let stepped = SteppedRuntime::new();
        let process_disk = ProcessDisk::with_files(disk, Arc::clone(files));
        let mut config = Config::new(dir)
            .on_disk(process_disk)
            .executed_by(Arc::clone(&stepped.executor) as _)
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
        let observed = ObservedSpool { spool, destination: destination.clone() };
        let (notifier, worker) = Notifier::builder(observed)
            .publisher_id("host1")
            .queue(queue)
            .seed(settings.seed)
            .behind(forwarder)
            .build()
            .unwrap();
        let worker = stepped.runtime.spawn(worker.run());
        let (destination, predecessors) = (destination.clone(), disk.ended_processes());
        Self { stepped, notifier, worker, config, destination, predecessors }
    }

    /// Returns the runtime of its tasks.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.stepped.runtime
    }

    /// Lets the disk hang, or lets it go on.
    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.stepped.executor.set_hanging(hangs);
    }

    /// Lets all tasks and the threads of the spool run for a moment, then moves the clock.
    pub(crate) fn proceed(&self, time: Duration) {
        self.stepped.proceed(time);
    }

    /// Proceeds in steps of `step` until `condition` holds.
    pub(crate) fn until(&self, what: &str, step: Duration, condition: impl FnMut() -> bool) {
        self.stepped.until(what, step, condition, || format!("{:?}", self.notifier.stages()));
    }

    /// Shuts the notifier down. The shutdown ends within the drain time and 10 s, whatever hangs.
    pub(crate) fn shut_down(&self, drain: Duration) {
        let notifier = self.notifier.clone();
        let begin = self.stepped.now();
        let ended = self.runtime().spawn(async move { notifier.shutdown(drain).await });
        let is_over = || ended.is_finished() && self.worker.is_finished();
        self.until("the shutdown", Duration::from_millis(50), is_over);
        let elapsed = self.stepped.now() - begin;
        assert!(elapsed <= drain + Duration::from_secs(10), "{elapsed:?} for {drain:?}");
    }

    /// Stores `messages` as another process in the same directory does, and ends that. Returns how many
    /// of them it accepted.
    pub(crate) fn leave_orphan(&self, messages: Vec<Message>) -> usize {
        let destination = Box::new(self.destination.clone());
        let (mut spool, _) = Spool::open(self.config.clone(), destination).unwrap();
        let storing = async move { send_once(&mut spool, &messages).await.0 };
        self.stepped.run("an answer of the disk", Duration::from_secs(1), storing)
    }

    /// Ends the process.
    pub(crate) fn end(self, end: ProcessEnd) {
        let Self { stepped, notifier, worker, .. } = self;
        drop((notifier, worker));
        let executor = stepped.end();
        match end {
            ProcessEnd::Orderly => executor.finish(),
            ProcessEnd::Killed => executor.kill(),
        }
    }

    /// Whether the disk hangs.
    pub(crate) fn hangs(&self) -> bool {
        self.stepped.executor.hangs()
    }
}
