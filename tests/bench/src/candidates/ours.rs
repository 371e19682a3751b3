//! The library, from `emit` to the outcome, with the strategy of the task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glance_notify::{Config, Event, Notifier, Worker};
use tokio::runtime::{Builder, Runtime};

use crate::samples;
use crate::task::{BenchTask, Clock, Measurement, memory_status};

/// Emits as a service that waits for room and drops its receipts, until every message has its
/// outcome.
pub(crate) fn deliver(task: &BenchTask) -> Measurement {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("the system can start a thread");
    let events = samples::events();
    let measurement = single_thread_runtime().block_on(async {
        emit_all(&notifier, &events, task.messages / 10).await;
        let clock = Clock::start();
        emit_all(&notifier, &events, task.messages).await;
        let measurement = clock.stop(task.messages);
        shut_down(&notifier, task.messages / 10 + task.messages).await;
        measurement
    });
    worker.join().expect("the worker does not panic");
    measurement
}

/// Does the same from several tasks, on a runtime with one thread per processor.
pub(crate) fn deliver_from_tasks(task: &BenchTask) -> Measurement {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("the system can start a thread");
    let events: Arc<[Event]> = samples::events().into();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("the runtime starts");
    let each = task.messages / task.emitters;
    let measurement = runtime.block_on(async {
        let clock = Clock::start();
        let emitters: Vec<_> = (0..task.emitters)
            .map(|_| {
                let (notifier, events) = (notifier.clone(), Arc::clone(&events));
                tokio::spawn(async move { enqueue_all(&notifier, &events, each).await })
            })
            .collect();
        for emitter in emitters {
            emitter.await.expect("the emitter does not panic");
        }
        notifier.flush(TIMEOUT).await.expect("the broker accepts every message");
        let measurement = clock.stop(each * task.emitters);
        shut_down(&notifier, each * task.emitters).await;
        measurement
    });
    worker.join().expect("the worker does not panic");
    measurement
}

/// Emits without waiting, into a queue with room for everything, and measures the caller's cost.
pub(crate) fn emit(task: &BenchTask) -> Measurement {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("the system can start a thread");
    let events = samples::events();
    let clock = Clock::start();
    for event in events.iter().cycle().take(task.messages) {
        drop(notifier.emit(event));
    }
    let measurement = clock.stop(task.messages);
    single_thread_runtime().block_on(shut_down(&notifier, task.messages));
    worker.join().expect("the worker does not panic");
    measurement
}

/// Sends one message at a time, and measures the time from `send` to its outcome.
pub(crate) fn send(task: &BenchTask) -> Measurement {
    let (notifier, worker) = start(task);
    let events = samples::events();
    single_thread_runtime().block_on(async {
        let worker = tokio::spawn(worker.run());
        emit_all(&notifier, &events, 100).await;
        let clock = Clock::start();
        let mut series = Vec::with_capacity(task.messages);
        for event in events.iter().cycle().take(task.messages) {
            let start = Instant::now();
            notifier.send(event).await.expect("the broker accepts every message");
            series.push(start.elapsed().as_secs_f64());
        }
        let measurement = Measurement { series, ..clock.stop(task.messages) };
        shut_down(&notifier, 100 + task.messages).await;
        worker.await.expect("the worker does not panic");
        measurement
    })
}

/// Emits while the broker is unreachable. The series holds the growth of the memory in bytes.
pub(crate) fn fill_queue(task: &BenchTask) -> Measurement {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("the system can start a thread");
    let events = samples::events();
    let before = memory_status("VmRSS");
    let clock = Clock::start();
    for event in events.iter().cycle().take(task.messages) {
        drop(notifier.emit(event));
    }
    let measurement = clock.stop(task.messages);
    single_thread_runtime().block_on(notifier.shutdown(Duration::ZERO));
    worker.join().expect("the worker does not panic");
    Measurement { series: vec![measurement.peak - before], ..measurement }
}

/// Emits for a long time. The series holds the resident memory in the meantime. If the strategy
/// writes a file, the candidate removes it each time.
pub(crate) fn flood(task: &BenchTask) -> Measurement {
    /// The number of measurements of the memory.
    const MARKS: usize = 100;
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("the system can start a thread");
    let events = samples::events();
    let mut series = vec![memory_status("VmRSS")];
    let measurement = single_thread_runtime().block_on(async {
        let clock = Clock::start();
        for _ in 0..MARKS {
            emit_all(&notifier, &events, task.messages / MARKS).await;
            series.push(memory_status("VmRSS"));
            drop(std::fs::remove_file(&task.file));
        }
        let measurement = clock.stop(task.messages);
        notifier.shutdown(TIMEOUT).await;
        measurement
    });
    worker.join().expect("the worker does not panic");
    Measurement { series, ..measurement }
}

/// Starts the notifier that the task configures.
pub(crate) fn start(task: &BenchTask) -> (Notifier, Worker) {
    let config: Config = task.config.parse().expect("the configuration is valid");
    glance_notify::start(&config).expect("the notifier starts")
}

/// Emits `count` notifications, and waits until all stages have delivered them.
pub(crate) async fn emit_all(notifier: &Notifier, events: &[Event], count: usize) {
    enqueue_all(notifier, events, count).await;
    notifier.flush(TIMEOUT).await.expect("the broker accepts every message");
    let delivered = notifier.stats().delivered;
    while notifier.stages().last().is_some_and(|(_, last)| last.delivered < delivered) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn enqueue_all(notifier: &Notifier, events: &[Event], count: usize) {
    for event in events.iter().cycle().take(count) {
        drop(notifier.enqueue(event).await);
    }
}

async fn shut_down(notifier: &Notifier, delivered: usize) {
    let stats = notifier.shutdown(TIMEOUT).await;
    assert_eq!(stats.delivered, delivered as u64, "{stats:?}");
}

fn single_thread_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("the runtime starts")
}

const TIMEOUT: Duration = Duration::from_secs(120);
