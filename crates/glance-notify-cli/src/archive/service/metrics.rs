//! The state of the service as Prometheus metrics, and as a health check.
//!
//! It only reads a copy of the state, and does no work for a scrape.

#![expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]

use std::sync::atomic::AtomicU64;

use glance_notify::listen::{SourceState, SourceStats};
use glance_notify::time::{self, OffsetDateTime};
use glance_notify::transport::printable;
use notify_archive::service::ServiceStatus;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Returns the metrics in the text format of `OpenMetrics`.
pub(super) fn metrics(status: &ServiceStatus) -> String {
    let mut table = MetricTable(Registry::with_prefix("glance_notify_archive"));
    table.count("stored", "Notifications that were stored", status.totals.stored);
    table.count("copies", "Messages that the archive had already", status.totals.copies);
    table.count(
        "reused_ids",
        "Notifications whose id and time another one has",
        status.totals.reused,
    );
    let help = "Messages that are no notifications, each content once";
    table.count("unreadable", help, status.totals.unreadable);
    table.count("failed_writes", "Attempts to store a batch that failed", status.failed_writes);
    let help = "Notifications whose number is missing between others, since the service started";
    table.gauge("missing_notifications", help, status.missing_numbers as f64);
    let is_writable = f64::from(u8::from(status.error.is_none()));
    table.gauge("writable", "Whether the last attempt to store a batch succeeded", is_writable);
    if let Some(at) = status.committed_at {
        table.gauge("last_commit_timestamp_seconds", "Time of the last commit", seconds(at));
    }
    if let Some(count) = status.stuck_uploads {
        let help = "Uploads and imports without an outcome for an hour, of the last seven days";
        table.gauge("stuck_uploads", help, count as f64);
    }
    table.sources(status);
    let mut text = String::new();
    match encode(&mut text, &table.0) {
        Ok(()) => text,
        // Writing to a string does not fail.
        Err(_) => String::new(),
    }
}

/// Returns the reasons why the service is not healthy, one a line. A healthy service has none.
pub(super) fn problems(status: &ServiceStatus) -> String {
    let mut text = String::new();
    let mut problem = |line: String| text.extend([&line, "\n"]);
    if let Some(error) = &status.error {
        problem(format!("the archive cannot be written: {error}"));
    }
    if status.idle.as_secs() >= 60 {
        problem(format!("the service has not moved for {} s", status.idle.as_secs()));
    }
    for source in &status.listener.sources {
        let name = printable(&source.name, 256);
        match &source.state {
            SourceState::Attached { .. } | SourceState::Ended => {}
            SourceState::Detached { reason, .. } => {
                problem(format!("source {name}: not attached: {}", printable(reason, 1024)));
            }
            _ => problem(format!("source {name}: not attached yet")),
        }
    }
    text
}

/// The metrics of one scrape.
struct MetricTable(Registry);

/// The labels of a metric of one source.
type SourceLabels = Vec<(&'static str, String)>;
/// A metric of floating-point numbers.
type FloatGauge = Gauge<f64, AtomicU64>;

impl MetricTable {
    fn count(&mut self, name: &str, help: &str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = FloatGauge::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// Adds the metrics of each source.
    fn sources(&mut self, status: &ServiceStatus) {
        self.source_counts(
            status,
            "received",
            "Messages that arrived, repetitions included",
            |s| s.counts.received,
        );
        self.source_counts(
            status,
            "acknowledged",
            "Messages that are stored and acknowledged",
            |s| s.counts.acked,
        );
        self.source_counts(status, "lost", "Messages that come again: their session ended", |s| {
            s.counts.lost
        });
        self.source_counts(status, "dead_lettered", "Messages in the dead-letter file", |s| {
            s.counts.dead_lettered
        });
        self.source_gauge(status, "held", "Messages that are not stored yet", |source| {
            Some(source.counts.held as f64)
        });
        let help = "Whether the source sees every new message";
        self.source_gauge(status, "source_attached", help, |source| {
            Some(f64::from(u8::from(matches!(source.state, SourceState::Attached { .. }))))
        });
        let progress = |source: &SourceStats| status.sources.get(&source.name).copied();
        let help = "Timestamp of the newest notification that was stored since the service started";
        self.source_gauge(status, "last_event_timestamp_seconds", help, |source| {
            progress(source)?.last_event.map(seconds)
        });
        let help = "Time from the sender's timestamp to the reception, of the last notification";
        self.source_gauge(status, "lag_seconds", help, |source| {
            progress(source)?.lag.map(time::Duration::as_seconds_f64)
        });
        let blind = Family::<SourceLabels, Counter<f64, AtomicU64>>::default();
        for source in &status.listener.sources {
            let time = progress(source).unwrap_or_default().blind;
            blind.get_or_create(&labels(source)).inc_by(time.as_secs_f64());
        }
        self.0.register("blind_seconds", "Time during which the source was not attached", blind);
    }

    fn source_counts(
        &mut self,
        status: &ServiceStatus,
        name: &str,
        help: &str,
        value: fn(&SourceStats) -> u64,
    ) {
        let family = Family::<SourceLabels, Counter<u64>>::default();
        for source in &status.listener.sources {
            family.get_or_create(&labels(source)).inc_by(value(source));
        }
        self.0.register(name, help, family);
    }

    fn source_gauge(
        &mut self,
        status: &ServiceStatus,
        name: &str,
        help: &str,
        value: impl Fn(&SourceStats) -> Option<f64>,
    ) {
        let family = Family::<SourceLabels, FloatGauge>::default();
        for source in &status.listener.sources {
            if let Some(value) = value(source) {
                family.get_or_create(&labels(source)).set(value);
            }
        }
        self.0.register(name, help, family);
    }
}

/// Returns the labels of a source.
fn labels(source: &SourceStats) -> SourceLabels {
    vec![("source", source.name.clone())]
}

/// Returns a time in seconds since 1970.
fn seconds(time: OffsetDateTime) -> f64 {
    time.unix_timestamp() as f64 + f64::from(time.microsecond()) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that has not begun shows its counters at zero, and no times.
    #[test]
    fn shows_the_known_values() {
        let text = metrics(&ServiceStatus::default());
        assert!(text.contains("glance_notify_archive_stored_total 0\n"), "{text}");
        assert!(text.contains("glance_notify_archive_writable 1.0\n"), "{text}");
        assert!(!text.contains("last_commit"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
