//! The producer: the process that emits. It reads commands from its standard input, and records
//! every notification and every outcome in a [journal](crate::journal).
//!
//! It emits through the facade, as a service does, and has no knowledge of the faults.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use glance_notify::event::NotificationPayload;
use glance_notify::{Config, Notifier, Receipt, Result};
use notify_conformance::samples;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::journal::JournalWriter;
use crate::resources;

/// Runs the producer until the command `end` or the end of standard input.
pub(crate) fn run(configuration: &Path, journal: &Path) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // A thread that resolved a name must exit before the next measurement counts it.
        .thread_keep_alive(Duration::from_millis(200))
        .enable_all()
        .build()
        .expect("the system can start threads")
        .block_on(serve(configuration, journal));
}

/// Starts the notifier, and executes commands.
async fn serve(configuration: &Path, journal: &Path) {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let config = std::fs::read_to_string(configuration).expect("the configuration is readable");
    let config: Config = config.parse().expect("the configuration is valid");
    let (notifier, worker) = glance_notify::start(&config).expect("the notifier starts");
    let worker = tokio::spawn(worker.run());

    let journal = JournalWriter::open(journal).expect("the journal is writable");
    let file = journal.file().expect("the journal is writable");
    let watched = notifier.clone();
    std::thread::spawn(move || {
        let mut last_errors = Vec::new();
        loop {
            std::thread::sleep(SYNC_INTERVAL);
            file.sync_data().expect("the journal's disk works");
            check_balance(&watched);
            log_new_errors(&watched, &mut last_errors);
        }
    });
    let journal = Arc::new(Mutex::new(journal));

    let (goal_sender, goal) = watch::channel(EmissionGoal::default());
    let (event_sender, events) = mpsc::unbounded_channel();
    let (done_sender, done) = watch::channel(None);
    tokio::spawn(emit(notifier.clone(), goal, Arc::clone(&journal), event_sender));
    tokio::spawn(collect_outcomes(events, Arc::clone(&journal), done_sender));

    let mut commands = read_commands();
    while let Some(command) = commands.recv().await {
        let answer = match command.split_once(' ').unwrap_or((&command, "")) {
            ("rate", rate) => {
                let rate = rate.parse().expect("the rate is a number");
                goal_sender.send_modify(|goal| *goal = EmissionGoal { rate, ..*goal });
                json!(null)
            }
            ("burst", count) => {
                let count: u64 = count.parse().expect("the count is a number");
                goal_sender.send_modify(|goal| goal.burst_total += count);
                json!(null)
            }
            ("pause", _) => {
                pause(&goal_sender, done.clone()).await;
                json!(null)
            }
            ("emit-one", _) => emit_one(&notifier, &journal).await,
            ("measure", _) => measure(&notifier),
            ("end", _) => break,
            _ => panic!("unknown command: {command}"),
        };
        send_answer(&answer);
    }
    notifier.shutdown(DRAIN_TIMEOUT).await;
    worker.await.expect("the worker does not panic");
    send_answer(&measure(&notifier));
}

/// The notifications that the parent wants.
#[derive(Clone, Copy, Debug, Default)]
struct EmissionGoal {
    /// The number of notifications per second.
    rate: u64,
    /// The number of notifications in all bursts since the start.
    burst_total: u64,
    /// The number of pauses since the start.
    pauses: u64,
}

/// An event of the emitting task.
enum EmitterEvent {
    /// The task emitted a notification with this id.
    Emitted(Uuid, Receipt),
    /// The task has reached a goal with this number of pauses, and emits nothing until a new goal.
    Idle(u64),
}

/// Emits notifications towards the goal, in a group every [`TICK`].
async fn emit(
    notifier: Notifier,
    mut goal: watch::Receiver<EmissionGoal>,
    journal: Arc<Mutex<JournalWriter>>,
    events: mpsc::UnboundedSender<EmitterEvent>,
) {
    let (mut number, mut burst_sent) = (0, 0);
    let mut next = Instant::now();
    loop {
        let current = *goal.borrow_and_update();
        let left = current.burst_total - burst_sent;
        let group = if left > 0 { left.min(256) } else { current.rate * TICK_MILLIS / 1000 };
        if group == 0 {
            let _ = events.send(EmitterEvent::Idle(current.pauses));
            if goal.changed().await.is_err() {
                return;
            }
            next = Instant::now();
            continue;
        }
        burst_sent += group.min(left);
        for event in emit_group(&notifier, number..number + group, &journal).await {
            let _ = events.send(event);
        }
        number += group;
        if left == 0 {
            // After a delay, the task skips the missed ticks.
            next = Instant::now().max(next + TICK);
            sleep_until(next).await;
        }
    }
}

/// Records a group of notifications in the journal, then emits them.
async fn emit_group(
    notifier: &Notifier,
    numbers: std::ops::Range<u64>,
    journal: &Mutex<JournalWriter>,
) -> Vec<EmitterEvent> {
    let stamped = numbers.map(|number| notifier.stamp(event(number)));
    let notifications: Vec<_> = stamped.collect();
    record(journal, |journal| {
        for notification in &notifications {
            let message = notification.encode(notifier.encoding()).expect("a sample is valid");
            journal.record_issued(notification.message_id, message.body());
        }
    });
    let mut emitted = Vec::with_capacity(notifications.len());
    for notification in &notifications {
        let receipt = notifier.resend(notification).await;
        emitted.push(EmitterEvent::Emitted(notification.message_id, receipt));
    }
    emitted
}

/// Records every outcome in the journal. While the emitting task is idle and every notification has
/// its outcome, `done` holds the number of pauses.
async fn collect_outcomes(
    mut events: mpsc::UnboundedReceiver<EmitterEvent>,
    journal: Arc<Mutex<JournalWriter>>,
    done: watch::Sender<Option<u64>>,
) {
    let mut receipts = FuturesUnordered::new();
    let mut idle = None;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => return,
                Some(EmitterEvent::Idle(pauses)) => idle = Some(pauses),
                Some(EmitterEvent::Emitted(id, receipt)) => {
                    idle = None;
                    receipts.push(async move { (id, receipt.await) });
                }
            },
            Some(first) = receipts.next() => {
                let mut outcomes: Vec<(Uuid, Result<()>)> = vec![first];
                while let Some(Some(next)) = futures_util::FutureExt::now_or_never(receipts.next()) {
                    outcomes.push(next);
                }
                record(&journal, |journal| {
                    for (id, result) in &outcomes {
                        journal.record_outcome(*id, result);
                    }
                });
            }
        }
        done.send_replace(idle.filter(|_| receipts.is_empty()));
    }
}

/// Stops emitting, and waits until every notification has its outcome.
async fn pause(goal: &watch::Sender<EmissionGoal>, mut done: watch::Receiver<Option<u64>>) {
    goal.send_modify(|goal| *goal = EmissionGoal { rate: 0, pauses: goal.pauses + 1, ..*goal });
    let pauses = goal.borrow().pauses;
    let _ = done.wait_for(|done| *done == Some(pauses)).await;
}

/// Emits one notification and waits for its outcome. Returns the error, or `null`.
async fn emit_one(notifier: &Notifier, journal: &Mutex<JournalWriter>) -> Value {
    for event in emit_group(notifier, 0..1, journal).await {
        if let EmitterEvent::Emitted(id, receipt) = event {
            let result = receipt.await;
            record(journal, |journal| journal.record_outcome(id, &result));
            if let Err(error) = result {
                return json!(format!("{error:#}"));
            }
        }
    }
    json!(null)
}

/// Returns the accounts of all stages and the resources of this process.
fn measure(notifier: &Notifier) -> Value {
    check_balance(notifier);
    let stages = notifier.stages();
    json!({
        "stages": stages.iter().map(|(_, stats)| stats).collect::<Vec<_>>(),
        "resources": resources::measure(),
        "unbalanced": UNBALANCED.get(),
    })
}

/// Keeps the first account that does not balance.
fn check_balance(notifier: &Notifier) {
    for (name, stats) in notifier.stages() {
        let decided = stats.delivered + stats.refused + stats.dropped.total();
        if stats.emitted != decided + stats.pending.messages {
            UNBALANCED.get_or_init(|| format!("{name}: {stats:?}"));
        }
    }
}

/// Logs the last error of each stage where it is not the one in `known`, which then holds it. The library itself
/// logs an outage of a destination once a minute at most.
fn log_new_errors(notifier: &Notifier, known: &mut Vec<Option<String>>) {
    let stages = notifier.stages();
    known.resize(stages.len(), None);
    for ((name, stats), known) in stages.into_iter().zip(known) {
        if let Some(error) = &stats.last_error
            && stats.last_error != *known
        {
            eprintln!("the last error of `{name}`: {error}");
        }
        *known = stats.last_error;
    }
}

/// The first account that did not balance.
static UNBALANCED: OnceLock<String> = OnceLock::new();

fn event(number: u64) -> NotificationPayload {
    samples::notification(number).payload
}

/// Locks the journal, calls `note` with it, and writes the new lines to the file.
fn record(journal: &Mutex<JournalWriter>, note: impl FnOnce(&mut JournalWriter)) {
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    note(&mut journal);
    journal.write().expect("the journal's disk works");
}

fn read_commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        // The parent has exited.
        std::process::exit(1);
    });
    receiver
}

fn send_answer(answer: &Value) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("the parent reads answers");
}

/// The time between two groups of notifications, in milliseconds.
const TICK_MILLIS: u64 = 10;
const TICK: Duration = Duration::from_millis(TICK_MILLIS);

/// The time between two syncs of the journal.
const SYNC_INTERVAL: Duration = Duration::from_millis(200);

/// The time that the last messages have to drain.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
