//! The reader: the process that listens. It commits each batch to its store before it acknowledges it,
//! and may be killed at any moment.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use glance_notify::listen::{
    DeadLetters, DeliveryCounts, Listener, RabbitSource, RabbitSourceConfig, SettlementOutcome,
    SourceQueue,
};
use glance_notify::transport::rabbit::QueueType;

/// The role of this program as a reader: `reader URL STORE`.
pub(crate) const READER_ROLE: &str = "reader";

/// The name of the reader's durable tap.
pub(crate) const TAP: &str = "chaos";

/// The prefetch of the reader.
pub(crate) const PREFETCH: u64 = 200;

/// Runs the reader until its standard input ends. Prints its counts then.
pub(crate) fn run(url: &str, store: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("the system offers threads");
    runtime.block_on(serve(url, store));
}

/// Reads, commits and acknowledges until standard input ends.
async fn serve(url: &str, store: &Path) {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let mut store = OpenOptions::new()
        .create(true)
        .append(true)
        .open(store)
        .expect("the directory of the run is writable");
    let mut config = RabbitSourceConfig::from_url(url).expect("the URL is valid");
    config.endpoint.heartbeat = 2;
    config.queue = SourceQueue::Durable { name: TAP.into(), queue_type: QueueType::Classic };
    let source = RabbitSource::new(config).expect("the configuration is valid");
    let mut listener =
        Listener::builder(source, DeadLetters::Discard).start().expect("the listener starts");
    let mut end = end_of_input();
    loop {
        let batch = tokio::select! {
            batch = listener.next_batch(100, Duration::from_millis(20)) => batch,
            _ = &mut end => break,
        };
        let batch = batch.expect("the source is available again soon").expect("it has no end");
        let ids: Vec<_> = batch.messages().map(|message| message.id().to_string()).collect();
        write(&mut store, 'c', &ids);
        store.sync_data().expect("the disk works");
        if let Ok(SettlementOutcome::Settled) = batch.ack().await {
            write(&mut store, 'a', &ids);
        }
        check_balance(listener.stats().total);
    }
    let counts = listener.close(Duration::from_secs(10)).await.total;
    check_balance(counts);
    println!("{counts:?}");
}

/// Appends a line for each id, with the time in milliseconds.
fn write(store: &mut File, kind: char, ids: &[String]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = now.as_millis();
    let mut lines = String::new();
    for id in ids {
        let _ = writeln!(lines, "{kind} {id} {millis}");
    }
    store.write_all(lines.as_bytes()).expect("the disk works");
}

/// Ends the process if the account does not balance.
fn check_balance(counts: DeliveryCounts) {
    let ended = counts.acked + counts.released + counts.dead_lettered + counts.lost;
    assert_eq!(counts.received, ended + counts.held, "{counts:?}");
    assert_eq!(counts.dead_lettered, 0, "{counts:?}");
}

/// Resolves when standard input ends: the parent wants the reader to stop, or has ended itself.
fn end_of_input() -> tokio::sync::oneshot::Receiver<()> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {}
        drop(sender);
    });
    receiver
}

/// The content of a reader's store.
#[derive(Debug, Default)]
pub(crate) struct ReaderStore {
    /// How often each id was committed.
    commits: HashMap<String, u64>,
    /// The number of commits of ids that were acknowledged already.
    pub(crate) repeated_after_ack: u64,
    /// The longest time between two commits.
    pub(crate) longest_pause: Duration,
}

impl ReaderStore {
    /// Reads a store. A line that a kill cut off counts as absent.
    pub(crate) fn open(path: &Path) -> Self {
        let mut store = Self::default();
        let (mut acked, mut last) = (HashSet::new(), None);
        let Ok(file) = File::open(path) else { return store };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            let words: Vec<_> = line.split(' ').collect();
            let [kind, id, millis] = words.as_slice() else { continue };
            if *kind == "a" {
                acked.insert((*id).to_owned());
                continue;
            }
            let Ok(millis) = millis.parse::<u64>() else { continue };
            store.repeated_after_ack += u64::from(acked.contains(*id));
            *store.commits.entry((*id).to_owned()).or_default() += 1;
            let pause = millis.saturating_sub(last.replace(millis).unwrap_or(millis));
            store.longest_pause = store.longest_pause.max(Duration::from_millis(pause));
        }
        store
    }

    /// Returns the number of ids.
    pub(crate) fn ids(&self) -> u64 {
        self.commits.len() as u64
    }

    /// Returns the number of commits beyond the first of each id.
    pub(crate) fn repetitions(&self) -> u64 {
        self.commits.values().map(|commits| commits - 1).sum()
    }

    /// Returns whether the store holds an id.
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.commits.contains_key(id)
    }
}
