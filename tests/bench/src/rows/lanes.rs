//! The effect of lanes that fail on the lanes that work, over a scripted destination.
//!
//! The peer of each row is the same program in the same rounds, with lanes that all work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use glance_notify::pipeline::QueueConfig;
use glance_notify::{Event, Notifier, Payload};
use notify_core::transport::Lanes;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Outcome, Priority, Result as CoreResult, Transport, Verdict,
};
use notify_spool::{Config, Spool};

use super::BenchRun;
use crate::statistics::quantile_micros;
use crate::table::{ResultRow, RowGoal};

/// The faults of the two lanes that may fail. The lane of `INFO` always works.
#[derive(Clone, Copy, Debug, Default)]
struct LaneFaults {
    warn: LaneFault,
    error: LaneFault,
}

/// The fault of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LaneFault {
    #[default]
    None,
    Refuses,
    NeverAnswers,
}

/// The result of one run.
struct LaneRun {
    /// The deliveries of the lane that works, per second.
    rate: f64,
    /// The 99.99th percentile of one `emit`, in microseconds.
    emit: f64,
}

/// The queue in front of the lanes.
#[derive(Clone, Copy, Debug)]
struct LaneSetup {
    name: &'static str,
    /// The bound of the queue in messages.
    max_messages: usize,
    /// Whether the messages pass a spool.
    spool: bool,
    /// The messages to the lane that works, and as many to the others together.
    messages: usize,
}

impl BenchRun {
    pub(super) fn lanes(&mut self) {
        let (none, refuses) = (LaneFault::None, LaneFault::Refuses);
        let cases = [
            ("one lane refuses", LaneFaults { warn: none, error: refuses }),
            ("one lane never answers", LaneFaults { warn: none, error: LaneFault::NeverAnswers }),
            ("two lanes refuse", LaneFaults { warn: refuses, error: refuses }),
        ];
        for setup in SETUPS {
            for (case, faults) in cases {
                let mut failing = Vec::new();
                let mut healthy = Vec::new();
                for round in 0..self.rounds {
                    let mut with = || failing.push(self.run_lanes(faults, setup));
                    let mut without = || healthy.push(self.run_lanes(LaneFaults::default(), setup));
                    // Rotate the order, so that neither always runs first.
                    if round % 2 == 0 {
                        with();
                        without();
                    } else {
                        without();
                        with();
                    }
                }
                let column = |runs: &[LaneRun], of: fn(&LaneRun) -> f64| -> Vec<f64> {
                    runs.iter().map(of).collect()
                };
                let name = format!("{case}, {}: rate of the others", setup.name);
                let goal = RowGoal::RatioAtLeast(0.8);
                let (ours, peer) = (column(&failing, |it| it.rate), column(&healthy, |it| it.rate));
                self.rows.push(ResultRow::with_peer(name, "msg/s", &ours, &peer, goal));
                let name = format!("{case}, {}: emit, p99.99", setup.name);
                let goal = RowGoal::RatioAtMost(2.0);
                let (ours, peer) = (column(&failing, |it| it.emit), column(&healthy, |it| it.emit));
                self.rows.push(ResultRow::with_peer(name, "us", &ours, &peer, goal));
            }
        }
    }

    /// Emits to all three lanes in turn, and measures the lane that works.
    ///
    /// # Panics
    ///
    /// Panics if a message of the lane that works does not arrive.
    fn run_lanes(&self, faults: LaneFaults, setup: LaneSetup) -> LaneRun {
        let delivered = Arc::new(AtomicU64::new(0));
        let transport = LaneTransport { faults, delivered: Arc::clone(&delivered) };
        let mut queue = QueueConfig::default();
        queue.max_messages = setup.max_messages;
        queue.max_bytes = 4 * 1024 * 1024 * 1024;
        let directory = tempfile::tempdir_in(self.directory.path());
        let directory = directory.expect("the directory of the run is writable");
        let built = if setup.spool {
            let mut config = Config::new(directory.path().join("spool"));
            config.max_bytes = 4 * 1024 * 1024 * 1024;
            let opened = Spool::open(config, Box::new(transport));
            let (spool, forwarder) = opened.expect("the options are valid");
            Notifier::builder(spool).behind(forwarder)
        } else {
            Notifier::builder(transport)
        };
        let built = built.publisher_id("image.bench").queue(queue).build();
        let (notifier, worker) = built.expect("the options are valid");
        let worker = worker.spawn_thread().expect("the system can start a thread");
        let info = Event::Other {
            event_type: EventType::ImageCreate,
            priority: Priority::Info,
            payload: "x".repeat(600).into(),
        };
        let others = [
            Event::ImageUpload(Payload::Warn("x".repeat(600))),
            Event::ImageUpload(Payload::Error("x".repeat(600))),
        ];
        let mut times = Vec::with_capacity(2 * setup.messages);
        // The free places in the queue that the loop knows of.
        let mut room = 0;
        let start = Instant::now();
        for number in 0..setup.messages {
            // A service that waits for room.
            while room < 2 {
                let pending = notifier.stats().pending.messages;
                room = (setup.max_messages as u64).saturating_sub(pending);
                if room < 2 {
                    std::thread::yield_now();
                }
            }
            room -= 2;
            let emit = Instant::now();
            drop(notifier.emit(&others[number % 2]));
            times.push(emit.elapsed().as_secs_f64());
            let emit = Instant::now();
            drop(notifier.emit(&info));
            times.push(emit.elapsed().as_secs_f64());
        }
        while delivered.load(Ordering::Relaxed) < setup.messages as u64 {
            std::thread::sleep(Duration::from_micros(100));
            assert!(start.elapsed() < TIMEOUT, "{faults:?}, {setup:?}: {:?}", notifier.stages());
        }
        let seconds = start.elapsed().as_secs_f64();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the runtime starts").block_on(notifier.shutdown(Duration::ZERO));
        worker.join().expect("the worker does not panic");
        LaneRun { rate: setup.messages as f64 / seconds, emit: quantile_micros(&times, 0.9999) }
    }
}

/// A destination in memory with a lane for each priority.
#[derive(Debug)]
struct LaneTransport {
    faults: LaneFaults,
    /// The deliveries of the lane that works.
    delivered: Arc<AtomicU64>,
}

#[async_trait]
impl Transport for LaneTransport {
    fn name(&self) -> &'static str {
        "lanes"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    fn lanes(&self) -> Lanes {
        Lanes::by_priority(|priority| priority.lower().to_owned())
    }

    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Self { faults: self.faults, delivered: Arc::clone(&self.delivered) }))
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> CoreResult<()> {
        let mut is_silent = false;
        for (index, message) in batch.messages().iter().enumerate() {
            let fault = match message.priority() {
                Priority::Warn => self.faults.warn,
                Priority::Error => self.faults.error,
                _ => LaneFault::None,
            };
            match fault {
                LaneFault::None => {
                    let works = message.priority() == Priority::Info;
                    self.delivered.fetch_add(u64::from(works), Ordering::Relaxed);
                    batch.settle(index, Verdict::Accept);
                }
                LaneFault::Refuses => {
                    let error = Error::new(ErrorKind::Full, "queue full");
                    batch.settle(index, Verdict::Retry(error));
                }
                LaneFault::NeverAnswers => is_silent = true,
            }
        }
        if is_silent {
            tokio::time::sleep(SILENCE).await;
            let error = Error::new(ErrorKind::Timeout, "no answer");
            return Err(error.with_outcome(Outcome::Unknown));
        }
        Ok(())
    }

    async fn close(&mut self) -> CoreResult<()> {
        Ok(())
    }
}

/// The queues in front of the lanes.
///
/// A silent lane delays the others once, by [`SILENCE`], so a run takes more than ten times as long.
const SETUPS: [LaneSetup; 3] = [
    LaneSetup { name: "queue of 1 000", max_messages: 1_000, spool: false, messages: 600_000 },
    LaneSetup {
        name: "queue of a million",
        max_messages: 1_000_000,
        spool: false,
        messages: 600_000,
    },
    LaneSetup { name: "behind a spool", max_messages: 10_000, spool: true, messages: 200_000 },
];
/// The time after which an attempt with messages of a silent lane fails.
const SILENCE: Duration = Duration::from_millis(100);
/// The longest run.
const TIMEOUT: Duration = Duration::from_secs(120);
