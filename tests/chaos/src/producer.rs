//! The process that emits: told on its standard input what to do, keeping a [ledger](crate::ledger) of
//! what it was promised.
//!
//! It emits as a service does, through the facade, and knows nothing of what is done to it.

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use glance_notify::event::Body;
use glance_notify::{Config, Notifier, Receipt, Result};
use notify_conformance::samples;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::ledger::Ledger;
use crate::resources;

/// Runs until standard input ends or says so.
pub(crate) fn run(configuration: &Path, ledger: &Path) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Threads that looked up a name are not to be counted long after.
        .thread_keep_alive(Duration::from_millis(200))
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(obey(configuration, ledger));
}

async fn obey(configuration: &Path, ledger: &Path) {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let config: Config =
        std::fs::read_to_string(configuration).expect("a configuration").parse().expect("valid");
    let (notifier, worker) = glance_notify::start(&config).expect("a notifier");
    let worker = tokio::spawn(worker.run());

    let ledger = Ledger::open(ledger).expect("a ledger");
    let file = ledger.file().expect("a ledger");
    let watched = notifier.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(SYNC);
            file.sync_data().expect("the ledger's disk works");
            balance(&watched);
        }
    });
    let ledger = Arc::new(Mutex::new(ledger));

    let (work, told) = watch::channel(Work::default());
    let (issued, receipts) = mpsc::unbounded_channel();
    let (done, seen) = watch::channel(None);
    tokio::spawn(emit(notifier.clone(), told, Arc::clone(&ledger), issued));
    tokio::spawn(collect(receipts, Arc::clone(&ledger), done));

    let mut commands = read_commands();
    while let Some(command) = commands.recv().await {
        let answer = match command.split_once(' ').unwrap_or((&command, "")) {
            ("go", rate) => {
                let rate = rate.parse().expect("a rate");
                work.send_modify(|work| *work = Work { rate, ..*work });
                json!(null)
            }
            ("emit", count) => {
                let count: u64 = count.parse().expect("a count");
                work.send_modify(|work| work.once += count);
                json!(null)
            }
            ("pause", _) => {
                pause(&work, seen.clone()).await;
                json!(null)
            }
            ("fresh", _) => fresh(&notifier, &ledger).await,
            ("measure", _) => measure(&notifier),
            ("end", _) => break,
            _ => panic!("unknown: {command}"),
        };
        say(&answer);
    }
    notifier.shutdown(DRAIN).await;
    worker.await.expect("the worker ends well");
    say(&measure(&notifier));
}

/// What is to be emitted.
#[derive(Clone, Copy, Debug, Default)]
struct Work {
    /// Notifications a second.
    rate: u64,
    /// So many were to be emitted as fast as it goes, since the beginning.
    once: u64,
    /// How often it was to pause.
    pauses: u64,
}

/// What was emitted, or that nothing more will be until there is other work, and after how many pauses.
enum Issued {
    One(Uuid, Receipt),
    Idle(u64),
}

/// Emits what there is to emit, a group every [`TICK`].
async fn emit(
    notifier: Notifier,
    mut told: watch::Receiver<Work>,
    ledger: Arc<Mutex<Ledger>>,
    issued: mpsc::UnboundedSender<Issued>,
) {
    let (mut number, mut once) = (0, 0);
    let mut next = Instant::now();
    loop {
        let work = *told.borrow_and_update();
        let left = work.once - once;
        let group = if left > 0 { left.min(256) } else { work.rate * TICK_MILLIS / 1000 };
        if group == 0 {
            let _ = issued.send(Issued::Idle(work.pauses));
            if told.changed().await.is_err() {
                return;
            }
            next = Instant::now();
            continue;
        }
        once += group.min(left);
        for receipt in emit_group(&notifier, number..number + group, &ledger).await {
            let _ = issued.send(receipt);
        }
        number += group;
        if left == 0 {
            // Who was held up does not catch up.
            next = Instant::now().max(next + TICK);
            sleep_until(next).await;
        }
    }
}

async fn emit_group(
    notifier: &Notifier,
    numbers: std::ops::Range<u64>,
    ledger: &Mutex<Ledger>,
) -> Vec<Issued> {
    let stamped = numbers.map(|number| notifier.stamp(event(number)));
    let notifications: Vec<_> = stamped.collect();
    with(ledger, |ledger| {
        for notification in &notifications {
            let message = notification.encode(notifier.encoding()).expect("a sample is valid");
            ledger.issue(notification.message_id, message.body());
        }
    });
    let mut receipts = Vec::with_capacity(notifications.len());
    for notification in &notifications {
        let receipt = notifier.resend(notification).await;
        receipts.push(Issued::One(notification.message_id, receipt));
    }
    receipts
}

/// Notes every outcome as it comes, and tells when all are decided and no more will come.
async fn collect(
    mut issued: mpsc::UnboundedReceiver<Issued>,
    ledger: Arc<Mutex<Ledger>>,
    done: watch::Sender<Option<u64>>,
) {
    let mut open = FuturesUnordered::new();
    let mut idle = None;
    loop {
        tokio::select! {
            event = issued.recv() => match event {
                None => return,
                Some(Issued::Idle(pauses)) => idle = Some(pauses),
                Some(Issued::One(id, receipt)) => {
                    idle = None;
                    open.push(async move { (id, receipt.await) });
                }
            },
            Some(first) = open.next() => {
                let mut decided: Vec<(Uuid, Result<()>)> = vec![first];
                while let Some(Some(next)) = futures_util::FutureExt::now_or_never(open.next()) {
                    decided.push(next);
                }
                with(&ledger, |ledger| {
                    for (id, result) in &decided {
                        ledger.decide(*id, result);
                    }
                });
            }
        }
        done.send_replace(idle.filter(|_| open.is_empty()));
    }
}

/// Emits no more, and waits until everything that was emitted is decided.
async fn pause(work: &watch::Sender<Work>, mut done: watch::Receiver<Option<u64>>) {
    work.send_modify(|work| *work = Work { rate: 0, pauses: work.pauses + 1, ..*work });
    let pauses = work.borrow().pauses;
    let _ = done.wait_for(|done| *done == Some(pauses)).await;
}

/// Emits one notification and waits for its outcome.
async fn fresh(notifier: &Notifier, ledger: &Mutex<Ledger>) -> Value {
    for issued in emit_group(notifier, 0..1, ledger).await {
        if let Issued::One(id, receipt) = issued {
            let result = receipt.await;
            with(ledger, |ledger| ledger.decide(id, &result));
            if let Err(error) = result {
                return json!(format!("{error:#}"));
            }
        }
    }
    json!(null)
}

/// The accounts of all stages, and what this process holds.
fn measure(notifier: &Notifier) -> Value {
    balance(notifier);
    let stages = notifier.stages();
    json!({
        "stages": stages.iter().map(|(_, stats)| stats).collect::<Vec<_>>(),
        "resources": resources::measure(),
        "unbalanced": UNBALANCED.get(),
    })
}

/// Keeps the first account that does not balance.
fn balance(notifier: &Notifier) {
    for (name, stats) in notifier.stages() {
        let decided = stats.delivered + stats.refused + stats.dropped.total();
        if stats.emitted != decided + stats.pending.messages {
            UNBALANCED.get_or_init(|| format!("{name}: {stats:?}"));
        }
    }
}

static UNBALANCED: OnceLock<String> = OnceLock::new();

fn event(number: u64) -> Body {
    samples::notification(number).body
}

fn with(ledger: &Mutex<Ledger>, note: impl FnOnce(&mut Ledger)) {
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    note(&mut ledger);
    ledger.write().expect("the ledger's disk works");
}

fn read_commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        // Whoever told it what to do is gone.
        std::process::exit(1);
    });
    receiver
}

fn say(answer: &Value) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody listens");
}

const TICK_MILLIS: u64 = 10;
const TICK: Duration = Duration::from_millis(TICK_MILLIS);
const SYNC: Duration = Duration::from_millis(200);

/// How long what is pending may take at the end.
const DRAIN: Duration = Duration::from_secs(60);
