//! Counters and gauges of every destination, through the crate [`metrics`](https://docs.rs/metrics).
//!
//! Install a recorder of that crate, such as an exporter for Prometheus. A [`MetricsReporter`] then copies the
//! accounts of a notifier to it: at an interval, or whenever your program is asked for its metrics. Emitting
//! and delivering cost nothing, because both read the accounts that [`Stats`] shows anyway. There is no
//! second count.
//!
//! Names and labels follow the [semantic conventions] of OpenTelemetry where these have one. The labels
//! have few values: the names of your destinations, the strategies, and the reasons of a drop.
//!
//! [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/

use std::time::Duration;

use ::metrics::{Label, SharedString, Unit, counter, describe_counter, describe_gauge, gauge};
use notify_core::pipeline::{AccountReader, DestinationAccount, Notifier, Stats, WorkerState};
use notify_core::transport::BrokerStats;

/// Reports the accounts of a notifier to the recorder that the program installed.
///
/// It does not keep the notifier open.
///
/// # Examples
///
/// Report every ten seconds, until the worker ends:
///
/// ```
/// # #[cfg(feature = "noop")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> glance_notify::Result<()> {
/// use std::time::Duration;
///
/// use glance_notify::pipeline::metrics::MetricsReporter;
///
/// let (notifier, worker) = glance_notify::start(&"strategy = \"noop\"".parse()?)?;
/// let worker = tokio::spawn(worker.run());
/// let reporter = MetricsReporter::new(&notifier);
/// let reporting = tokio::spawn(async move { reporter.run(Duration::from_secs(10)).await });
/// # drop((notifier, worker));
/// # reporting.await.unwrap();
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "noop"))]
/// # fn main() {}
/// ```
///
/// Or report when your program is asked: call [`report`](Self::report) in the handler of `/metrics`, before
/// it renders what the recorder has.
#[derive(Clone, Debug)]
pub struct MetricsReporter {
    accounts: AccountReader,
}

impl MetricsReporter {
    /// Creates a reporter of all destinations of `notifier`, and describes the metrics to the recorder.
    ///
    /// Install the recorder first.
    pub fn new(notifier: &Notifier) -> Self {
        for Metric { name, source, unit, meaning, .. } in METRICS {
            match source {
                MetricSource::Counter(_) | MetricSource::Drops | MetricSource::BrokerCounter(_) => {
                    describe_counter!(*name, *unit, *meaning);
                }
                MetricSource::Gauge(_) | MetricSource::State | MetricSource::BrokerTime(_) => {
                    describe_gauge!(*name, *unit, *meaning);
                }
            }
        }
        Self { accounts: notifier.account_reader() }
    }

    /// Reports the accounts at this moment.
    ///
    /// A destination behind a spool has two accounts: that of the way to the disk, with the system `spool`,
    /// and that of the way from the disk to the destination.
    pub fn report(&self) {
        for DestinationAccount { name, strategy, stats, forwarded, .. } in self.accounts.read() {
            let stages = std::iter::once((strategy, stats)).chain(forwarded);
            for (strategy, stats) in stages {
                let labels = labels(&name, strategy);
                for metric in METRICS {
                    metric.report(&stats, &labels);
                }
            }
        }
    }

    /// Reports every `interval`, and once more when the worker has ended. Then it returns.
    ///
    /// An interval below a millisecond counts as one. Needs a tokio runtime with its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the reports.
    pub async fn run(&self, interval: Duration) {
        let interval = interval.max(Duration::from_millis(1));
        loop {
            self.report();
            if tokio::time::timeout(interval, self.accounts.ended()).await.is_ok() {
                return self.report();
            }
        }
    }
}

/// One metric: its name, and the place in [`Stats`] that it comes from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// The name. An exporter for Prometheus writes `_` in place of each dot.
    pub name: &'static str,
    /// The counter of `docs/counters.md` that it reports.
    pub counter: &'static str,
    /// The labels beside those that every metric has.
    pub labels: &'static [&'static str],
    /// The meaning in English.
    pub meaning: &'static str,
    unit: Unit,
    source: MetricSource,
}

/// The place in an account that a metric comes from.
#[derive(Clone, Copy, Debug)]
enum MetricSource {
    /// A number that only grows.
    Counter(fn(&Stats) -> u64),
    /// The numbers of dropped notifications, by reason.
    Drops,
    /// A number that grows and falls.
    Gauge(fn(&Stats) -> f64),
    /// One gauge for each state of the worker, of which one is 1.
    State,
    /// A number about a broker that only grows. Other destinations have none.
    BrokerCounter(fn(&BrokerStats) -> u64),
    /// A time about a broker, in seconds.
    BrokerTime(fn(&BrokerStats) -> Duration),
}

impl Metric {
    /// Returns whether the metric only grows.
    pub fn is_counter(&self) -> bool {
        matches!(
            self.source,
            MetricSource::Counter(_) | MetricSource::Drops | MetricSource::BrokerCounter(_)
        )
    }

    /// Reports the metric of one account.
    fn report(&self, stats: &Stats, labels: &[Label]) {
        let with = |key: &'static str, value: &'static str| {
            let own = [Label::from_static_parts(key, value)];
            labels.iter().cloned().chain(own).collect::<Vec<_>>()
        };
        match self.source {
            MetricSource::Counter(count) => {
                counter!(self.name, labels.to_vec()).absolute(count(stats));
            }
            MetricSource::Drops => {
                let dropped = stats.dropped;
                for (reason, count) in [
                    ("overflow", dropped.overflow),
                    ("age", dropped.age),
                    ("closed", dropped.closed),
                    ("abandoned", dropped.abandoned),
                ] {
                    counter!(self.name, with("reason", reason)).absolute(count);
                }
            }
            MetricSource::Gauge(number) => gauge!(self.name, labels.to_vec()).set(number(stats)),
            MetricSource::BrokerCounter(count) => {
                if let Some(broker) = &stats.broker {
                    counter!(self.name, labels.to_vec()).absolute(count(broker));
                }
            }
            MetricSource::BrokerTime(time) => {
                if let Some(broker) = &stats.broker {
                    gauge!(self.name, labels.to_vec()).set(time(broker).as_secs_f64());
                }
            }
            MetricSource::State => {
                for state in STATES {
                    let is_current = state_name(&stats.state) == state;
                    gauge!(self.name, with("state", state)).set(f64::from(u8::from(is_current)));
                }
            }
        }
    }
}

/// Returns the labels that every metric of one account has.
fn labels(destination: &str, strategy: &'static str) -> [Label; 3] {
    let system = match strategy {
        "rabbit" => "rabbitmq",
        "qpid" => "amqp",
        other => other,
    };
    let destination = if destination.is_empty() { strategy } else { destination };
    [
        Label::new("messaging.system", system),
        Label::new("messaging.operation.name", "send"),
        Label::new("messaging.destination.name", SharedString::from(destination.to_owned())),
    ]
}

/// Returns the name of a state, as `Stats` serializes it.
fn state_name(state: &WorkerState) -> &'static str {
    match state {
        WorkerState::NotStarted => "not_started",
        WorkerState::Delivering => "delivering",
        WorkerState::Retrying { .. } => "retrying",
        WorkerState::Closed => "closed",
        _ => "idle",
    }
}

/// Returns a counter.
const fn count(
    name: &'static str,
    counter: &'static str,
    meaning: &'static str,
    source: fn(&Stats) -> u64,
) -> Metric {
    let source = MetricSource::Counter(source);
    Metric { name, counter, labels: &[], meaning, unit: Unit::Count, source }
}

/// Returns a gauge.
const fn level(
    name: &'static str,
    counter: &'static str,
    unit: Unit,
    meaning: &'static str,
    source: fn(&Stats) -> f64,
) -> Metric {
    let source = MetricSource::Gauge(source);
    Metric { name, counter, labels: &[], meaning, unit, source }
}

/// Returns a counter of a broker.
const fn broker_count(
    name: &'static str,
    counter: &'static str,
    meaning: &'static str,
    source: fn(&BrokerStats) -> u64,
) -> Metric {
    let source = MetricSource::BrokerCounter(source);
    Metric { name, counter, labels: &[], meaning, unit: Unit::Count, source }
}

/// Returns a gauge of a time of a broker.
const fn broker_time(
    name: &'static str,
    counter: &'static str,
    meaning: &'static str,
    source: fn(&BrokerStats) -> Duration,
) -> Metric {
    let source = MetricSource::BrokerTime(source);
    Metric { name, counter, labels: &[], meaning, unit: Unit::Seconds, source }
}

/// Every metric, in the order of `docs/counters.md`.
///
/// ```
/// use glance_notify::pipeline::metrics::METRICS;
///
/// let sent = METRICS.iter().find(|metric| metric.counter == "delivered").unwrap();
/// assert_eq!(sent.name, "messaging.client.sent.messages");
/// ```
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and a queue has less than 2^52 bytes"
)]
pub const METRICS: &[Metric] = &[
    count("messaging.client.sent.messages", "delivered", "accepted by the destination", |stats| {
        stats.delivered
    }),
    count("glance_notify.emitted", "emitted", "received and not suppressed", |stats| stats.emitted),
    count("glance_notify.refused", "refused", "refused for good", |stats| stats.refused),
    Metric {
        name: "glance_notify.dropped",
        counter: "dropped",
        labels: &["reason"],
        meaning: "given up, by reason",
        unit: Unit::Count,
        source: MetricSource::Drops,
    },
    count("glance_notify.retried", "retried", "sent again", |stats| stats.retried),
    count("glance_notify.suppressed", "suppressed", "left out by the configuration", |stats| {
        stats.suppressed
    }),
    level("glance_notify.pending", "pending", Unit::Count, "queued or in flight", |stats| {
        stats.pending.messages as f64
    }),
    level("glance_notify.pending.size", "pending", Unit::Bytes, "their memory", |stats| {
        stats.pending.bytes as f64
    }),
    level(
        "glance_notify.oldest_pending",
        "oldest_pending",
        Unit::Seconds,
        "the age of the oldest pending message; 0 without one",
        |stats| stats.oldest_pending.unwrap_or_default().as_secs_f64(),
    ),
    level(
        "glance_notify.last_delivery",
        "last_delivery",
        Unit::Seconds,
        "the time of the last delivery, since 1970; 0 before the first",
        |stats| stats.last_delivery.map_or(0.0, |time| time.unix_timestamp() as f64),
    ),
    level("glance_notify.failing", "last_error", Unit::Count, "1 while a failure lasts", |stats| {
        f64::from(u8::from(stats.last_error.is_some()))
    }),
    level(
        "glance_notify.failing_permanently",
        "last_error_is_permanent",
        Unit::Count,
        "1 while only an operator can end the failure",
        |stats| f64::from(u8::from(stats.last_error_is_permanent)),
    ),
    Metric {
        name: "glance_notify.state",
        counter: "state",
        labels: &["state"],
        meaning: "1 for the current state of the worker",
        unit: Unit::Count,
        source: MetricSource::State,
    },
    broker_count(
        "glance_notify.broker.reconnects",
        "broker.reconnects",
        "connections that replaced an earlier one",
        |broker| broker.reconnects,
    ),
    broker_count(
        "glance_notify.broker.nacks",
        "broker.nacks",
        "answers by which the broker did not take a message",
        |broker| broker.nacks,
    ),
    broker_count(
        "glance_notify.broker.returns",
        "broker.returns",
        "unroutable messages",
        |broker| broker.returns,
    ),
    broker_time(
        "glance_notify.broker.blocked",
        "broker.blocked",
        "the time for which the broker held messages back",
        |broker| broker.blocked,
    ),
    broker_count(
        "glance_notify.broker.confirm_latency.count",
        "broker.confirm_latency.count",
        "answers of the broker",
        |broker| broker.confirm_latency.count,
    ),
    broker_time(
        "glance_notify.broker.confirm_latency.sum",
        "broker.confirm_latency.sum",
        "the times between a send and its answer",
        |broker| broker.confirm_latency.sum,
    ),
    broker_time(
        "glance_notify.broker.confirm_latency.max",
        "broker.confirm_latency.max",
        "the longest of these times",
        |broker| broker.confirm_latency.max,
    ),
];

/// The names of the states.
const STATES: [&str; 5] = ["not_started", "idle", "delivering", "retrying", "closed"];
