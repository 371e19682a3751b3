//! A system that has no room for another thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{Error, ErrorKind, Outcome, Result, Transport as _};
use notify_spool::executor::{SlotExecutor, SlotWork};
use notify_spool::{Config, Spool};
use notify_testbed::role_process::{role, role_process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::model::executor::StepExecutor;
use crate::model::stepped_runtime::SteppedRuntime;
use crate::support::{RunningNotifier, bodies, build, open_spool, pending_in, send_once, until};

/// A spool whose thread cannot start reports a transient error, and stores once the system has room.
#[test]
fn a_failed_thread_start_is_tried_again() {
    if let Some(path) = role() {
        return store_without_room(&path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let name = "thread_start::a_failed_thread_start_is_tried_again";
    let output = role_process(&[], name, &path.to_string_lossy()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bodies(&pending_in(&path)) == bodies(&samples::messages(0..5)));
}

/// A process that has no room for the thread that searches for orphans stores and forwards its own messages.
#[test]
fn a_searcher_without_a_thread_stops_nothing() {
    within_a_minute(|| {
        let dir = tempfile::tempdir().unwrap();
        let stepped = SteppedRuntime::new();
        let config = LimitedExecutor::config(&dir.path().join("s"), &stepped, 1);
        let (notifier, worker) = build(config, &Script::default());
        let worker = stepped.runtime.spawn(worker.run());
        let running = RunningNotifier { notifier, worker };
        let forwarding = async move {
            running.store(&samples::messages(0..10)).await;
            until("the forwarding", || running.forwarded().delivered == 10).await;
            running.stop().await
        };
        assert_eq!(stepped.run("the forwarding", STEP, forwarding).delivered, 10);
    });
}

/// A drain forwards as many orphans at once as the system has room for, one after the other if need be. Without
/// room for any, it ends with the error.
#[test]
fn a_drain_goes_on_with_the_threads_that_it_gets() {
    within_a_minute(|| {
        for threads in [0, 1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s");
            let stepped = SteppedRuntime::new();
            let config = |threads| LimitedExecutor::config(&path, &stepped, threads);
            let mut spools: Vec<_> = (0..3).map(|_| open_spool(config(3))).collect();
            let storing = async move {
                for (slot, spool) in (0..).zip(&mut spools) {
                    let messages = samples::messages(slot * 5..slot * 5 + 5);
                    assert_eq!(send_once(spool, &messages).await.0, 5);
                }
                for spool in &mut spools {
                    spool.close().await.unwrap();
                }
            };
            stepped.run("the store", STEP, storing);
            let script = Script::default();
            let (_, forwarder) = Spool::open(config(threads), script.transport()).unwrap();
            let draining = forwarder.drain(Box::pin(std::future::pending::<Duration>()));
            let drained = stepped.run("the drain", STEP, draining);
            if threads == 0 {
                let error = drained.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:#}");
                assert!(script.stored().is_empty());
            } else {
                assert_eq!(drained.unwrap().delivered, 15, "{threads} threads");
                assert_eq!(script.stored().len(), 15);
            }
        }
    });
}

/// An executor of a system that has room for a few threads only.
#[derive(Debug)]
struct LimitedExecutor {
    executor: Arc<StepExecutor>,
    threads: usize,
}

impl LimitedExecutor {
    /// Returns the configuration of a spool whose process has room for `threads` threads.
    fn config(path: &Path, stepped: &SteppedRuntime, threads: usize) -> Config {
        let executor = Arc::clone(&stepped.executor);
        Config::new(path).executed_by(Arc::new(Self { executor, threads }))
    }
}

impl SlotExecutor for LimitedExecutor {
    fn start(&self, work: Arc<dyn SlotWork>) -> Result<()> {
        if self.executor.running() >= self.threads {
            return Err(Error::new(ErrorKind::Unavailable, "simulated: no room for a thread"));
        }
        self.executor.start(work)
    }
}

/// Runs `test` on a thread of its own: a task that never waits would stop every timer of its runtime.
fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (running, end) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _running = running;
        test();
    });
    let ended = end.recv_timeout(Duration::from_secs(60));
    assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the test does not end");
    thread.join().unwrap();
}

/// The time between two turns of the stepped runtime.
const STEP: Duration = Duration::from_millis(50);

/// Tries to store while the address space has no room for the stack of a thread, and then with room.
fn store_without_room(path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let messages = samples::messages(0..5);
        let mut spool = open_spool(Config::new(path));
        let unlimited = getrlimit(Resource::As);
        // A thread needs 2 MiB for its stack.
        let limit = Rlimit { current: Some(used_bytes() + 1024 * 1024), ..unlimited };
        setrlimit(Resource::As, limit).unwrap();
        let attempts =
            [send_once(&mut spool, &messages).await, send_once(&mut spool, &messages).await];
        setrlimit(Resource::As, unlimited).unwrap();
        for (accepted, error) in attempts {
            let error = error.unwrap();
            assert_eq!((accepted, error.kind()), (0, ErrorKind::Unavailable), "{error:#}");
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
        let (accepted, error) = send_once(&mut spool, &messages).await;
        assert_eq!(accepted, 5, "{error:?}");
        spool.close().await.unwrap();
    });
}

/// Returns the size of this process's address space.
fn used_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
