//! The metrics of a real recorder are the accounts, for every destination.

#![cfg(all(feature = "log", feature = "metrics"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glance_notify::pipeline::Stats;
use glance_notify::pipeline::metrics::{METRICS, MetricsReporter};
use glance_notify::{Config, Event, Notifier, Payload, Worker};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Returns every series by its name and its labels, with its value.
fn series(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (_, key) = key.into_parts();
        let mut labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        let value = match value {
            #[expect(clippy::cast_precision_loss, reason = "the counts are small")]
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(level) => level.into_inner(),
            DebugValue::Histogram(_) => panic!("no metric is a histogram"),
        };
        series.insert(format!("{}{{{}}}", key.name(), labels.join(",")), value);
    }
    series
}

/// Asserts that the series of one account equal it.
#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn assert_equals(series: &BTreeMap<String, f64>, destination: &str, system: &str, stats: &Stats) {
    let value = |name: &str, label: &str| {
        let mut labels = vec![
            format!("messaging.destination.name={destination}"),
            "messaging.operation.name=send".to_owned(),
            format!("messaging.system={system}"),
        ];
        labels.extend((!label.is_empty()).then(|| label.to_owned()));
        labels.sort();
        let key = format!("{name}{{{}}}", labels.join(","));
        *series.get(&key).unwrap_or_else(|| panic!("no {key} in {series:#?}"))
    };
    for (name, label, expected) in [
        ("messaging.client.sent.messages", "", stats.delivered),
        ("glance_notify.emitted", "", stats.emitted),
        ("glance_notify.refused", "", stats.refused),
        ("glance_notify.dropped", "reason=overflow", stats.dropped.overflow),
        ("glance_notify.dropped", "reason=age", stats.dropped.age),
        ("glance_notify.dropped", "reason=closed", stats.dropped.closed),
        ("glance_notify.dropped", "reason=abandoned", stats.dropped.abandoned),
        ("glance_notify.retried", "", stats.retried),
        ("glance_notify.suppressed", "", stats.suppressed),
        ("glance_notify.pending", "", stats.pending.messages),
        ("glance_notify.pending.size", "", stats.pending.bytes),
        ("glance_notify.failing", "", u64::from(stats.last_error.is_some())),
        ("glance_notify.failing_permanently", "", u64::from(stats.last_error_is_permanent)),
    ] {
        let difference = value(name, label) - expected as f64;
        assert!(difference.abs() < 0.5, "{name} {label} of {destination}: {difference} {stats:?}");
    }
    let current = serde_json::to_value(&stats.state).unwrap()["name"].as_str().unwrap().to_owned();
    for name in ["not_started", "idle", "delivering", "retrying", "closed"] {
        let shown = value("glance_notify.state", &format!("state={name}"));
        assert_eq!(shown > 0.5, current == name, "{name}: {current}");
    }
    let last = stats.last_delivery.map_or(0.0, |time| time.unix_timestamp() as f64);
    assert!((value("glance_notify.last_delivery", "") - last).abs() < 0.5);
    let age = value("glance_notify.oldest_pending", "");
    assert_eq!(age > 0.0, stats.oldest_pending.is_some());
}

/// Emits warnings of a size in bytes.
fn emit(notifier: &Notifier, count: usize, bytes: usize) {
    for _ in 0..count {
        notifier.emit(&Event::ImageUpload(Payload::Warn("x".repeat(bytes))));
    }
}

/// Promise 2, nothing disappears in silence: drops, refusals, suppressed and pending notifications of several
/// destinations are in the metrics, with the numbers of the accounts.
#[tokio::test]
async fn the_metrics_of_every_destination_are_its_account() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let dir = tempfile::tempdir().unwrap();
    // The second file cannot be written, because its directory is missing. The third gets no image.
    let config: Config = format!(
        "queue.max_messages = 10\n\
         [[destination]]\nname = 'audit'\nstrategy = 'log'\nlog.file = '{dir}/n.log'\n\
         [[destination]]\nname = 'lost'\nstrategy = 'log'\nrequired = false\n\
         log.file = '{dir}/missing/n.log'\n\
         [[destination]]\nname = 'tasks'\nstrategy = 'log'\nevents = ['task.*']\n\
         log.file = '{dir}/t.log'\n",
        dir = dir.path().display()
    )
    .parse()
    .unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let reporter = MetricsReporter::new(&notifier);
    emit(&notifier, 15, 100);
    emit(&notifier, 1, 2 * 1024 * 1024);
    let check = || {
        reporter.report();
        let series = series(&snapshotter);
        let accounts: Vec<_> = notifier.destinations();
        for account in &accounts {
            assert_equals(&series, &account.name, "log", &account.stats);
        }
        accounts.into_iter().map(|account| account.stats).collect::<Vec<_>>()
    };
    let first = check();
    assert_eq!(
        (first[0].dropped.overflow, first[0].refused, first[0].pending.messages),
        (5, 1, 10)
    );
    assert_eq!((first[2].suppressed, first[2].emitted), (16, 0));

    let worker = tokio::spawn(worker.run());
    notifier.flush(Duration::from_secs(30)).await.unwrap();
    while notifier.destinations()[1].stats.last_error.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = check();
    assert_eq!(second[0].delivered, 10);
    assert!(second[1].last_error_is_permanent);

    notifier.shutdown(Duration::from_millis(100)).await;
    emit(&notifier, 3, 100);
    worker.await.unwrap();
    let third = check();
    assert_eq!((third[0].dropped.closed, third[1].dropped.abandoned), (3, 10));
}

/// Returns a notifier to a file.
fn log_notifier(file: &Path) -> (Notifier, Worker) {
    let config: Config =
        format!("strategy = 'log'\nlog.file = '{}'", file.display()).parse().unwrap();
    glance_notify::start(&config).unwrap()
}

/// A destination on a broker also has the counters of its connection.
#[cfg(feature = "rabbit")]
#[tokio::test]
async fn a_broker_has_metrics_of_its_own() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let config: Config = "strategy = 'rabbit'\nrabbit.port = 1".parse().unwrap();
    let (notifier, _worker) = glance_notify::start(&config).unwrap();
    MetricsReporter::new(&notifier).report();
    let series = series(&snapshotter);
    assert_equals(&series, "rabbit", "rabbitmq", &notifier.stats());
    assert!(notifier.stats().broker.is_some());
    let labels = "{messaging.destination.name=rabbit,messaging.operation.name=send,messaging.system=rabbitmq}";
    for metric in METRICS.iter().filter(|metric| metric.counter.starts_with("broker.")) {
        assert!(series.contains_key(&format!("{}{labels}", metric.name)), "{}", metric.name);
    }
}

/// Nothing reaches the recorder while a program emits and the worker delivers, so both cost nothing more.
#[tokio::test]
async fn emitting_and_delivering_touch_no_metric() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let dir = tempfile::tempdir().unwrap();
    let (notifier, worker) = log_notifier(&dir.path().join("n.log"));
    // In this thread, where the recorder is installed.
    let worker = tokio::spawn(worker.run());
    emit(&notifier, 100, 10);
    notifier.flush(Duration::from_secs(30)).await.unwrap();
    assert_eq!(series(&snapshotter).len(), 0);
    notifier.close();
    assert_eq!(worker.await.unwrap().delivered, 100);
}

/// The last report has the final account, and the reporter keeps neither the notifier nor the worker alive.
#[tokio::test]
async fn a_reporter_ends_with_the_worker() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let dir = tempfile::tempdir().unwrap();
    let (notifier, worker) = log_notifier(&dir.path().join("n.log"));
    let worker = tokio::spawn(worker.run());
    let reporter = MetricsReporter::new(&notifier);
    emit(&notifier, 7, 10);
    drop(notifier);
    tokio::time::timeout(Duration::from_secs(30), reporter.run(Duration::from_secs(3600)))
        .await
        .unwrap();
    let stats = worker.await.unwrap();
    assert_eq!(stats.delivered, 7);
    assert_equals(&series(&snapshotter), "log", "log", &stats);
}

/// The labels have few values, whatever a program emits.
#[tokio::test]
async fn the_number_of_series_does_not_depend_on_what_is_emitted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (notifier, _worker) = log_notifier(Path::new("/nonexistent/n.log"));
    let reporter = MetricsReporter::new(&notifier);
    for number in 0..100 {
        let event_type = format!("image.number{number}").parse().unwrap();
        let payload = format!("text {number}").into();
        let priority = glance_notify::event::Priority::Info;
        notifier.emit(&Event::Other { event_type, priority, payload });
        reporter.report();
    }
    // Four drops instead of one, five states instead of one, and no broker.
    let of_brokers = METRICS.iter().filter(|metric| metric.counter.starts_with("broker.")).count();
    assert_eq!(series(&snapshotter).len(), METRICS.len() - of_brokers + 3 + 4);
}
