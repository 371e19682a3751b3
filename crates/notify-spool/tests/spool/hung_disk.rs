//! A disk that hangs: every wait on it ends, and nothing that was accepted is lost.
//!
//! Most tests run all threads step by step with a paused clock, so that they wait for no real time and
//! take the same course on a busy machine. One test has real threads, and so has `frozen_disk.rs` with a
//! real file system.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::pipeline::{Receipt, WorkerState};
use notify_core::{Message, Outcome, Transport as _};
use notify_spool::{Config, Spool};
use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};

use crate::model::environment::{
    DestinationAction, ProcessDisk, SendEnd, SimulatedDestination, SimulatedFiles, pending_on,
};
use crate::model::process::{ProcessEnd, SimulatedProcess};
use crate::model::stepped_runtime::SteppedRuntime;
use crate::model::steps::ModelSettings;
use crate::support::{bodies, open_spool, send_once, start, until, within};

/// Whichever job of the threads hangs, a shutdown of 10 s ends within 20 s, and the accepted messages are
/// on the disk afterwards.
#[test]
fn every_wait_on_a_disk_ends() {
    for turns in 0..30 {
        let mut disk = HangingDisk::new();
        if turns % 2 == 1 {
            let orphans = disk.process.leave_orphan(samples::messages(100..110));
            assert_eq!(orphans, 10);
        }
        disk.emit(0..20);
        for _ in 0..turns {
            disk.process.proceed(Duration::from_millis(100));
        }
        disk.process.set_hanging(true);
        disk.emit(20..30);
        disk.process.shut_down(Duration::from_secs(10));
        let accepted = disk.accepted();
        let found: Vec<_> = bodies(&disk.kill());
        let lost = accepted.iter().filter(|body| !found.contains(body)).count();
        assert_eq!(lost, 0, "after {turns} turns, {} were accepted", accepted.len());
    }
}

/// A drain ends too when the disk of an orphan hangs.
#[test]
fn a_drain_ends_while_the_disk_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (disk, files) = (FaultyDisk::new(1), SimulatedFiles::default());
    let stepped = SteppedRuntime::new();
    let config = || {
        let disk = ProcessDisk::with_files(&disk, Arc::clone(&files));
        Config::new(&path).on_disk(disk).executed_by(Arc::clone(&stepped.executor) as _)
    };
    let messages = samples::messages(0..20);
    let mut spool = open_spool(config());
    let storing = {
        let messages = messages.clone();
        async move {
            assert_eq!(send_once(&mut spool, &messages).await.0, 20);
            spool.close().await.unwrap();
        }
    };
    stepped.run("the store", Duration::from_millis(50), storing);
    stepped.executor.set_hanging(true);
    let (_, forwarder) = Spool::open(config(), Script::default().transport()).unwrap();
    let closing = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Duration::from_secs(5)
    };
    let begin = stepped.now();
    // The disk does not answer within 30 s. The error says so, or the drain ends at its deadline.
    let draining = forwarder.drain(Box::pin(closing));
    let drained = stepped.run("the drain", Duration::from_millis(100), draining);
    let elapsed = stepped.now() - begin;
    assert!(elapsed <= Duration::from_secs(75), "{elapsed:?}");
    let error = drained.unwrap_err();
    assert!(error.to_string().contains("does not answer within 30 s"), "{error}");
    assert!(error.is_transient());
    stepped.end().kill();
    assert_eq!(bodies(&pending_on(&disk, &files, &path)), bodies(&messages));
}

/// A batch that hangs is not reported delivered. The account shows why, and once the disk answers the
/// batch is stored once.
#[test]
fn a_hung_store_is_visible_and_stores_each_message_once() {
    let mut disk = HangingDisk::new();
    disk.emit(0..10);
    disk.process.until("the first messages", Duration::from_millis(20), || {
        disk.process.notifier.stats().delivered == 10
    });
    disk.process.set_hanging(true);
    disk.emit(10..20);
    for _ in 0..100 {
        disk.process.proceed(Duration::from_secs(1));
    }
    assert!(!disk.process.notifier.has_failing_lane(), "one disk fails, and no lane");
    let stats = disk.process.notifier.stats();
    let WorkerState::Retrying { error, permanent: false, .. } = stats.state else {
        panic!("{stats:?}")
    };
    assert!(error.contains("`spool.dir`") && error.contains("does not answer"), "{error}");
    assert_eq!(stats.delivered, 10);
    disk.process.set_hanging(false);
    disk.process.until("the other messages", Duration::from_secs(1), || {
        disk.process.notifier.stats().delivered == 20
    });
    disk.process.shut_down(Duration::from_secs(10));
    // The destination is silent, so the messages of each lane follow those of the others.
    let mut stored = bodies(&disk.kill());
    stored.sort_unstable();
    assert_eq!(stored, bodies(&samples::messages(0..20)));
}

/// A transport that is used directly reports the outcome of a hung store as unknown, and accepts the
/// messages with the next attempts, also one by one.
#[test]
fn the_next_attempt_accepts_the_messages_of_a_hung_one() {
    let messages = samples::messages(0..10);
    let mut spool = SteppedSpool::open();
    for (hangs, range, expected) in
        [(false, 0..5, 5), (true, 5..10, 0), (true, 5..10, 0), (false, 5..8, 3), (false, 8..10, 2)]
    {
        spool.attempt(hangs, &messages[range], expected);
    }
    assert_eq!(spool.close(), bodies(&messages));
}

/// Two batches without an answer in time follow each other, because the worker sends other messages first. The
/// messages of both are accepted when they come again, and are on the disk once.
#[test]
fn two_hung_batches_in_a_row_are_stored_once() {
    let messages = samples::messages(0..15);
    let mut spool = SteppedSpool::open();
    for (hangs, range, expected) in [(true, 0..5, 0), (true, 5..10, 0), (false, 0..15, 15)] {
        spool.attempt(hangs, &messages[range], expected);
        // The disk answers between two attempts, too late for the first.
        spool.stepped.executor.set_hanging(false);
        spool.stepped.proceed(Duration::from_secs(1));
    }
    let mut stored = spool.close();
    stored.sort_unstable();
    assert_eq!(stored, bodies(&messages));
}

/// With real threads, whichever operation hangs: a shutdown ends, and once the disk answers it holds the
/// accepted messages.
#[tokio::test]
async fn a_shutdown_ends_while_an_operation_hangs() {
    let faults = [
        (DiskOperation::Sync, 0),
        (DiskOperation::Sync, 1),
        (DiskOperation::Write, 0),
        (DiskOperation::Write, 7),
        (DiskOperation::Read, 0),
        (DiskOperation::Any, 20),
    ];
    join_all(faults.map(|(on, after)| shut_down_while_hung(on, after))).await;
}

/// Shuts a notifier down while an operation of its spool hangs, and checks the disk afterwards.
async fn shut_down_while_hung(on: DiskOperation, after: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let disk = FaultyDisk::new(after);
    let script = Script::default();
    script.set_stalled(true);
    let disk_of_process = ProcessDisk::of_current_process(&disk);
    let running = start(Config::new(&path).on_disk(disk_of_process), &script);
    let stored = samples::messages(0..20);
    running.store(&stored).await;
    disk.fail(DiskFault { on, after, failure: DiskFailure::Hang, lasting: true });
    let mut emitted: Vec<(Message, Receipt)> = Vec::new();
    // Each message causes more operations, so the fault comes.
    within("a hang", async {
        while !disk.hangs() {
            let message = samples::messages(emitted.len() as u64 + 20..emitted.len() as u64 + 21);
            let message = message[0].clone();
            emitted.push((message.clone(), running.notifier.relay(message).await));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    within("the shutdown", running.notifier.shutdown(Duration::from_millis(100))).await;
    within("the worker", running.worker).await.unwrap();
    disk.heal();
    let mut accepted = bodies(&stored);
    for (message, receipt) in emitted {
        if receipt.await.is_ok() {
            accepted.extend(bodies(&[message]));
        }
    }
    let found = found_after(&path, &disk).await;
    let unique: HashSet<_> = found.iter().collect();
    assert_eq!(unique.len(), found.len(), "{on:?} {after}: stored twice");
    assert!(accepted.iter().all(|body| unique.contains(body)), "{on:?} {after}: lost");
}

/// Waits until the thread that hung has closed the slot, and returns the bodies on the disk.
async fn found_after(path: &Path, disk: &FaultyDisk) -> Vec<String> {
    // The thread releases the lock at its end.
    until("the end of the thread", || {
        notify_spool::admin::slots(path).unwrap().iter().all(|slot| slot.owner.is_none())
    })
    .await;
    std::fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
    bodies(&crate::support::pending_in(path))
}

/// A transport on a disk that can hang, without a process around it.
struct SteppedSpool {
    dir: tempfile::TempDir,
    disk: FaultyDisk,
    files: SimulatedFiles,
    stepped: SteppedRuntime,
    /// Absent while it works.
    spool: Option<Spool>,
}

impl SteppedSpool {
    /// Opens a spool on an empty disk.
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (disk, files) = (FaultyDisk::new(1), SimulatedFiles::default());
        let stepped = SteppedRuntime::new();
        let config = Config::new(dir.path().join("s"))
            .on_disk(ProcessDisk::with_files(&disk, Arc::clone(&files)))
            .executed_by(Arc::clone(&stepped.executor) as _);
        let spool = Some(open_spool(config));
        Self { dir, disk, files, stepped, spool }
    }

    /// Sends one batch while the disk `hangs` or works, and checks the number of accepted messages.
    fn attempt(&mut self, hangs: bool, batch: &[Message], expected: usize) {
        self.stepped.executor.set_hanging(hangs);
        let mut spool = self.spool.take().unwrap();
        let batch = batch.to_vec();
        let sending = async move {
            let sent = send_once(&mut spool, &batch).await;
            (spool, sent)
        };
        let (spool, (accepted, error)) =
            self.stepped.run("an attempt", Duration::from_millis(500), sending);
        self.spool = Some(spool);
        assert_eq!(accepted, expected);
        assert_eq!(error.map(|error| error.outcome()), hangs.then_some(Outcome::Unknown));
    }

    /// Closes the spool, and returns the bodies on the disk.
    fn close(self) -> Vec<String> {
        let mut spool = self.spool.unwrap();
        let closing = async move { spool.close().await.unwrap() };
        self.stepped.run("the close", Duration::from_millis(50), closing);
        self.stepped.end().finish();
        bodies(&pending_on(&self.disk, &self.files, &self.dir.path().join("s")))
    }
}

/// A process on a disk that can hang, whose destination takes nothing.
struct HangingDisk {
    dir: tempfile::TempDir,
    disk: FaultyDisk,
    files: SimulatedFiles,
    process: SimulatedProcess,
    emitted: Vec<(Message, Receipt)>,
}

impl HangingDisk {
    /// Starts the process on an empty disk.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (disk, files) = (FaultyDisk::new(1), SimulatedFiles::default());
        let destination = SimulatedDestination::default();
        destination.state().actions = vec![DestinationAction::LeaveUnsettled];
        destination.state().end = Some(SendEnd::Stalls);
        let settings = ModelSettings {
            seed: 1,
            max_messages: 1000,
            refuses_when_full: false,
            store_batch: 7,
            forward_batch: 7,
        };
        let path = dir.path().join("s");
        let process = SimulatedProcess::start(&path, &disk, &files, &destination, &settings);
        Self { dir, disk, files, process, emitted: Vec::new() }
    }

    /// Emits the messages of a range.
    fn emit(&mut self, range: std::ops::Range<u64>) {
        for message in samples::messages(range) {
            let relaying = self.process.notifier.relay(message.clone());
            let receipt = self.process.runtime().block_on(relaying);
            self.emitted.push((message, receipt));
        }
    }

    /// Returns the bodies of the messages that were reported accepted, after a shutdown.
    fn accepted(&mut self) -> Vec<String> {
        let runtime = self.process.runtime();
        let accepted = self
            .emitted
            .drain(..)
            .filter_map(|(message, receipt)| runtime.block_on(receipt).is_ok().then_some(message));
        bodies(&accepted.collect::<Vec<_>>())
    }

    /// Kills the process, and returns the messages on the disk.
    fn kill(self) -> Vec<Message> {
        self.disk.kill();
        self.process.end(ProcessEnd::Killed);
        pending_on(&self.disk, &self.files, &self.dir.path().join("s"))
    }
}
