//! Ours, from `emit` to the outcome, by whatever strategy is configured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glance_notify::{Config, Event, Notifier, Worker};
use tokio::runtime::{Builder, Runtime};

use crate::samples;
use crate::task::{Clock, Outcome, Task, resident};

/// Emits as a service does that waits for room and drops its receipts, until everything is decided.
pub(crate) fn deliver(task: &Task) -> Outcome {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("a thread");
    let events = samples::events();
    let outcome = on_one_thread().block_on(async {
        emit_all(&notifier, &events, task.messages / 10).await;
        let clock = Clock::start();
        emit_all(&notifier, &events, task.messages).await;
        let outcome = clock.stop(task.messages);
        shut_down(&notifier, task.messages / 10 + task.messages).await;
        outcome
    });
    worker.join().expect("the worker to end");
    outcome
}

/// The same, from several tasks on a runtime with a thread for each processor.
pub(crate) fn deliver_from_tasks(task: &Task) -> Outcome {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("a thread");
    let events: Arc<[Event]> = samples::events().into();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let each = task.messages / task.emitters;
    let outcome = runtime.block_on(async {
        let clock = Clock::start();
        let emitters: Vec<_> = (0..task.emitters)
            .map(|_| {
                let (notifier, events) = (notifier.clone(), Arc::clone(&events));
                tokio::spawn(async move { enqueue_all(&notifier, &events, each).await })
            })
            .collect();
        for emitter in emitters {
            emitter.await.expect("an emitter that ends");
        }
        notifier.flush(PATIENCE).await.expect("delivery");
        let outcome = clock.stop(each * task.emitters);
        shut_down(&notifier, each * task.emitters).await;
        outcome
    });
    worker.join().expect("the worker to end");
    outcome
}

/// Emits without ever waiting, into a queue that holds it all: what it costs whoever calls.
pub(crate) fn emit(task: &Task) -> Outcome {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("a thread");
    let events = samples::events();
    let clock = Clock::start();
    for event in events.iter().cycle().take(task.messages) {
        drop(notifier.emit(event));
    }
    let outcome = clock.stop(task.messages);
    on_one_thread().block_on(shut_down(&notifier, task.messages));
    worker.join().expect("the worker to end");
    outcome
}

/// One at a time: how long each takes from `send` to its outcome.
pub(crate) fn send(task: &Task) -> Outcome {
    let (notifier, worker) = start(task);
    let events = samples::events();
    on_one_thread().block_on(async {
        let worker = tokio::spawn(worker.run());
        emit_all(&notifier, &events, 100).await;
        let clock = Clock::start();
        let mut series = Vec::with_capacity(task.messages);
        for event in events.iter().cycle().take(task.messages) {
            let start = Instant::now();
            notifier.send(event).await.expect("delivery");
            series.push(start.elapsed().as_secs_f64());
        }
        let outcome = Outcome { series, ..clock.stop(task.messages) };
        shut_down(&notifier, 100 + task.messages).await;
        worker.await.expect("the worker to end");
        outcome
    })
}

/// Emits while nobody takes anything. The series is by how many bytes the memory grew.
pub(crate) fn away(task: &Task) -> Outcome {
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("a thread");
    let events = samples::events();
    let before = resident("VmRSS");
    let clock = Clock::start();
    for event in events.iter().cycle().take(task.messages) {
        drop(notifier.emit(event));
    }
    let outcome = clock.stop(task.messages);
    on_one_thread().block_on(notifier.shutdown(Duration::ZERO));
    worker.join().expect("the worker to end");
    Outcome { series: vec![outcome.peak - before], ..outcome }
}

/// Emits for long. The series is the resident memory on the way; where that is a file, it is taken
/// away each time.
pub(crate) fn flood(task: &Task) -> Outcome {
    const MARKS: usize = 100;
    let (notifier, worker) = start(task);
    let worker = worker.spawn_thread().expect("a thread");
    let events = samples::events();
    let mut series = vec![resident("VmRSS")];
    let outcome = on_one_thread().block_on(async {
        let clock = Clock::start();
        for _ in 0..MARKS {
            emit_all(&notifier, &events, task.messages / MARKS).await;
            series.push(resident("VmRSS"));
            drop(std::fs::remove_file(&task.file));
        }
        let outcome = clock.stop(task.messages);
        notifier.shutdown(PATIENCE).await;
        outcome
    });
    worker.join().expect("the worker to end");
    Outcome { series, ..outcome }
}

/// The notifier that the task configures, and its worker.
pub(crate) fn start(task: &Task) -> (Notifier, Worker) {
    let config: Config = task.config.parse().expect("a configuration");
    glance_notify::start(&config).expect("a configuration that works")
}

/// Emits so many, and waits until they are decided; also by what is behind a spool.
pub(crate) async fn emit_all(notifier: &Notifier, events: &[Event], count: usize) {
    enqueue_all(notifier, events, count).await;
    notifier.flush(PATIENCE).await.expect("delivery");
    let taken = notifier.stats().delivered;
    while notifier.stages().last().is_some_and(|(_, last)| last.delivered < taken) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn enqueue_all(notifier: &Notifier, events: &[Event], count: usize) {
    for event in events.iter().cycle().take(count) {
        drop(notifier.enqueue(event).await);
    }
}

async fn shut_down(notifier: &Notifier, delivered: usize) {
    let stats = notifier.shutdown(PATIENCE).await;
    assert_eq!(stats.delivered, delivered as u64, "{stats:?}");
}

fn on_one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

const PATIENCE: Duration = Duration::from_secs(120);
