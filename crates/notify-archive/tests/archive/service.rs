//! The service: stored before it is acknowledged, whatever the disk and the sources do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use notify_archive::question::{EventFilter, StuckReport};
use notify_archive::service::{ArchiveService, OpenUploads, ServiceMonitor, ServiceOptions};
use notify_archive::store::{ArchiveBatch, RetentionPolicy};
use notify_archive::{Archive, ArchiveWriter};
use notify_conformance::source_script::{SourceFault, SourceScript};
use notify_core::listener::{DeadLetters, Listener, ListenerConfig, ListenerStats, SourceState};
use notify_core::source::SettlementMode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::samples::{day, read_all};
use crate::store::ALL;

/// A service that runs, and the way to stop it.
pub(crate) struct RunningService {
    pub(crate) monitor: ServiceMonitor,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<notify_archive::Result<ListenerStats>>,
}

impl RunningService {
    /// Starts a service that stores what a script delivers.
    pub(crate) fn start(script: &SourceScript, directory: &Path, options: ServiceOptions) -> Self {
        let mut config = ListenerConfig::default();
        config.deliver_unreadable = true;
        let listener = Listener::builder(script.source(), DeadLetters::Discard);
        let listener = listener.config(config).start().unwrap();
        let writer = ArchiveWriter::open(directory).unwrap();
        let service = ArchiveService::new(listener, writer, options).unwrap();
        let monitor = service.monitor();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(service.run(async move { drop(stopped.await) }));
        Self { monitor, stop: Some(stop), task }
    }

    /// Stops the service, and returns its account.
    pub(crate) async fn stop(mut self) -> ListenerStats {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap()
    }
}

/// Sessions that break, settlements that never arrive and a source that ends: the archive holds each
/// notification once, everything is acknowledged in the end, and the state of the service tells the numbers.
#[tokio::test]
async fn a_service_stores_everything_once() {
    for mode in [SettlementMode::Individual, SettlementMode::Cumulative] {
        let directory = tempfile::tempdir().unwrap();
        let script = SourceScript::with_mode(mode);
        publish_day(&script);
        script.publish_bytes([b"not JSON".to_vec()]);
        for fault in [
            SourceFault::FailReceive,
            SourceFault::LoseConfirmation,
            SourceFault::Detach,
            SourceFault::FailSettle,
        ] {
            script.add_fault(fault);
        }
        let mut options = ServiceOptions::default();
        options.batch = 7;
        options.linger = Duration::ZERO;
        options.regions = [("script".to_owned(), "north".to_owned())].into();
        let service = RunningService::start(&script, directory.path(), options);
        eventually("everything is acknowledged", || script.unacked() == 0).await;
        let status = service.monitor.status();
        assert_eq!((status.totals.stored, status.totals.unreadable), (101, 1));
        assert_eq!(status.error, None);
        assert!(status.sources["script"].last_event.is_some());
        script.end();
        let account = service.task.await.unwrap().unwrap();
        assert_eq!(account.total.held, 0);
        let archive = Archive::open(directory.path()).unwrap();
        let mut ids = BTreeSet::new();
        archive
            .read(&EventFilter::default(), ALL, |record| {
                assert!(ids.insert(record.message_id), "once");
                assert_eq!(record.arrival.region.as_deref(), Some("north"));
            })
            .unwrap();
        assert_eq!(ids.len(), 101);
        assert_eq!(archive.verify().unwrap().problems, []);
        let now = time::OffsetDateTime::now_utc();
        let coverage = archive.coverage(Some(now - time::Duration::HOUR..now)).unwrap();
        let reasons: Vec<_> = coverage[0].blind.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(reasons[0], "not attached yet");
        assert!(reasons.contains(&"the source ended"), "{reasons:?}");
    }
}

/// The account of a service adds up when a publisher sends the same message without a notification again and again.
#[tokio::test]
async fn every_received_message_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let script = SourceScript::default();
    publish_day(&script);
    script.publish_bytes(vec![b"{}".to_vec(); 50]);
    let service = RunningService::start(&script, directory.path(), ServiceOptions::default());
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    let totals = service.monitor.status().totals;
    let account = service.stop().await;
    assert_eq!((totals.stored, totals.copies, totals.unreadable), (101, 49, 1));
    assert_eq!(account.total.received, totals.stored + totals.copies + totals.unreadable);
}

/// While the archive cannot be written, nothing is acknowledged and the state names the error. The service goes
/// on by itself when the cause is gone.
#[tokio::test]
async fn nothing_is_acknowledged_while_the_archive_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let script = SourceScript::default();
    let service = RunningService::start(&script, directory.path(), ServiceOptions::default());
    let path = directory.path().join("2026-11.sqlite");
    let undated = directory.path().join("undated-2026-11.sqlite");
    // The day of the sample is undated a few days later.
    for path in [&path, &undated, &undated_now(directory.path())] {
        fs::write(path, [b'x'; 8192]).unwrap();
    }
    publish_day(&script);
    eventually("the error is told", || service.monitor.status().error.is_some()).await;
    let status = service.monitor.status();
    assert!(status.error.unwrap().contains("the file is damaged: move it away"));
    assert!(status.failed_writes > 0 && script.acked().is_empty());
    for path in [&path, &undated, &undated_now(directory.path())] {
        drop(fs::remove_file(path));
    }
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    assert_eq!(service.monitor.status().error, None);
    assert_eq!(service.stop().await.total.acked, 101);
    assert_eq!(count(directory.path()), 101);
}

/// The service stops in time while its archive fails, and gives back unstored notifications.
#[tokio::test]
async fn a_service_stops_while_the_archive_fails() {
    let directory = tempfile::tempdir().unwrap();
    let script = SourceScript::default();
    let service = RunningService::start(&script, directory.path(), ServiceOptions::default());
    for name in ["2026-11.sqlite", "undated-2026-11.sqlite"] {
        fs::write(directory.path().join(name), [b'x'; 8192]).unwrap();
    }
    fs::write(undated_now(directory.path()), [b'x'; 8192]).unwrap();
    publish_day(&script);
    eventually("the error is told", || service.monitor.status().error.is_some()).await;
    let monitor = service.monitor.clone();
    let stats = service.stop().await;
    assert_eq!((stats.total.acked, stats.total.held), (0, 0));
    assert_eq!(script.unacked(), 101);
    assert!(matches!(monitor.status().listener.sources[0].state, SourceState::Closed));
}

/// The archive of a service that has ended is free at once.
#[tokio::test]
async fn an_ended_service_has_released_its_archive() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let script = SourceScript::default();
        publish_day(&script);
        let service = RunningService::start(&script, directory.path(), ServiceOptions::default());
        eventually("everything is acknowledged", || script.unacked() == 0).await;
        service.stop().await;
        ArchiveWriter::open(directory.path()).unwrap();
    }
    assert_eq!(count(directory.path()), 101);
}

/// A running service removes old months, because no other process may write to its archive.
#[tokio::test]
async fn a_service_keeps_the_bounds_of_its_archive() {
    let directory = tempfile::tempdir().unwrap();
    let mut records = read_all(&day());
    for record in &mut records {
        record.timestamp -= time::Duration::days(500);
        record.arrival.received_at = Some(record.timestamp);
    }
    // Without a young month, the clock would be in doubt.
    let mut young = records[0].clone();
    young.message_id = uuid::Uuid::from_u128(1);
    young.timestamp = time::OffsetDateTime::now_utc();
    young.arrival.received_at = Some(young.timestamp);
    records.push(young);
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
    let script = SourceScript::default();
    publish_day(&script);
    let mut options = ServiceOptions::default();
    options.retention =
        RetentionPolicy { max_age: Some(time::Duration::days(400)), max_bytes: None };
    let service = RunningService::start(&script, directory.path(), options);
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    service.stop().await;
    let archive = Archive::open(directory.path()).unwrap();
    assert!(archive.files().unwrap().iter().all(|name| !name.to_string().contains("2025-07")));
    assert_eq!(count(directory.path()), 102);
}

/// A batch that cannot be stored does not keep the service from removing old months, which may make its room.
#[tokio::test]
async fn a_service_removes_old_months_while_it_cannot_store() {
    let directory = tempfile::tempdir().unwrap();
    let mut records = read_all(&day());
    for (index, record) in records.iter_mut().enumerate() {
        record.timestamp -= time::Duration::days(if index == 0 { 600 } else { 500 });
        record.arrival.received_at = Some(record.timestamp);
    }
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
    let files = Archive::open(directory.path()).unwrap().files().unwrap();
    let paths: Vec<_> = files.iter().map(|name| directory.path().join(name.to_string())).collect();
    let size = |path: &std::path::PathBuf| fs::metadata(path).unwrap().len();
    let most: u64 = paths.iter().map(size).sum();
    let script = SourceScript::default();
    let mut options = ServiceOptions::default();
    options.retention = RetentionPolicy { max_age: None, max_bytes: Some(most) };
    let service = RunningService::start(&script, directory.path(), options);
    eventually("the first retention is over", || service.monitor.status().committed_at.is_some())
        .await;
    assert!(paths[0].exists());

    let blocked =
        ["2026-11.sqlite", "undated-2026-11.sqlite"].map(|name| directory.path().join(name));
    let blocked: BTreeSet<_> = blocked.into_iter().chain([undated_now(directory.path())]).collect();
    for path in &blocked {
        fs::create_dir(path).unwrap();
    }
    let oldest = fs::OpenOptions::new().write(true).open(&paths[0]).unwrap();
    oldest.set_len(size(&paths[0]) + 65536).unwrap();
    publish_day(&script);
    eventually("the oldest month is removed", || !paths[0].exists()).await;
    assert!(script.acked().is_empty() && paths[1].exists());
    for path in &blocked {
        fs::remove_dir(path).unwrap();
    }
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    service.stop().await;
}

/// The metric of stuck uploads is the number in the report, look by look, while events arrive.
#[test]
fn stuck_uploads_are_those_of_the_report() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let records = read_all(&day());
    let first = records[0].timestamp;
    let mut uploads = OpenUploads::new(directory.path(), first);
    let mut report = StuckReport::default();
    let mut most = 0;
    for part in records.chunks(9) {
        let batch = ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() };
        writer.append(&batch).unwrap();
        for record in part {
            report.add(record);
        }
        let now = part.last().unwrap().timestamp;
        let items = report.clone().finish(now, time::Duration::HOUR);
        let is_upload = |kind| {
            use notify_archive::question::StuckKind::{PendingDelete, TaskWithoutEnd};
            !matches!(kind, PendingDelete | TaskWithoutEnd)
        };
        let expected = items.iter().filter(|item| is_upload(item.kind)).count() as u64;
        assert_eq!(uploads.count(now).unwrap(), expected, "at {now}");
        most = most.max(expected);
    }
    assert_eq!(most, 2);
    // What arrives late, after an outage, is found by its own time.
    let directory = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::open(directory.path()).unwrap();
    let mut late = OpenUploads::new(directory.path(), first);
    let now = records.last().unwrap().timestamp;
    for part in records.rchunks(40) {
        let batch = ArchiveBatch { records: part.to_vec(), ..ArchiveBatch::default() };
        writer.append(&batch).unwrap();
        late.read_from(part[0].timestamp);
        late.count(now).unwrap();
    }
    assert_eq!(late.count(now).unwrap(), uploads.count(now).unwrap());
    // A clock that was ten years ahead for a while changes nothing.
    let now = records.last().unwrap().timestamp;
    let before = uploads.count(now).unwrap();
    assert_eq!(uploads.count(now + time::Duration::days(3650)).unwrap(), 0);
    assert_eq!((uploads.count(now).unwrap(), before > 0), (before, true));
}

/// Publishes the day of a small cloud.
fn publish_day(script: &SourceScript) {
    script.publish_bytes(day().lines().map(|line| line.as_bytes().to_vec()));
}

/// Returns the file of undated events of this month.
fn undated_now(directory: &Path) -> std::path::PathBuf {
    let now = time::OffsetDateTime::now_utc();
    let name = format!("undated-{:04}-{:02}.sqlite", now.year(), u8::from(now.month()));
    directory.join(name)
}

/// Returns the number of events in an archive.
pub(crate) fn count(directory: &Path) -> u64 {
    let (dated, undated, _) = Archive::open(directory).unwrap().counts().unwrap();
    dated + undated
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 60 s: {what}");
}
