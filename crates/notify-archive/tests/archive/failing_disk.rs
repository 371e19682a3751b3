//! A real disk that hangs, refuses writes or is full under the service.
//!
//! Only root can mount one, so the tests are skipped for other users.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use notify_archive::service::ServiceOptions;
use notify_archive::store::{ArchiveBatch, RetentionPolicy};
use notify_archive::{Archive, ArchiveWriter};
use notify_conformance::source_script::SourceScript;
use notify_testbed::disk::MountedDisk;

use crate::samples::{day, read_all};
use crate::service::{RunningService, count, eventually};

/// While the disk hangs, the service acknowledges nothing and stays alive. When the disk answers again, it goes
/// on by itself, and the archive holds each notification once.
#[tokio::test]
async fn a_service_goes_on_after_a_hung_disk() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    let script = SourceScript::default();
    let service = start_and_store_half(&script, &directory).await;

    let frozen = disk.freeze();
    publish(&script, 50..101);
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(script.acked().len(), 50, "nothing is stored meanwhile");
    }
    // The watchdog of systemd looks at this time: a hung disk is no reason to restart the service.
    let idle = service.monitor.status().idle;
    assert!(idle < Duration::from_secs(30), "{idle:?}");
    drop(frozen);

    eventually("everything is acknowledged", || script.unacked() == 0).await;
    assert_eq!(service.stop().await.total.acked, 101);
    assert_eq!(count(&directory), 101);
    assert_eq!(Archive::open(&directory).unwrap().verify().unwrap().problems, []);
}

/// A service stops in time while its disk hangs. It acknowledges nothing of the batch that hangs, and the next
/// service stores each notification once.
#[tokio::test]
async fn a_service_stops_while_the_disk_hangs() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    let script = SourceScript::default();
    let service = start_and_store_half(&script, &directory).await;

    let frozen = disk.freeze();
    publish(&script, 50..101);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    let stats = service.stop().await;
    let elapsed = begin.elapsed();
    assert_eq!((stats.total.acked, stats.total.held), (50, 0));
    assert_eq!(script.unacked(), 51);
    drop(frozen);
    // The file system thaws by itself after a minute, which would end a blocked service too.
    assert!(elapsed < Duration::from_secs(40), "{elapsed:?}");

    // The thread that hung ends, and releases the lock.
    eventually("the archive is free", || ArchiveWriter::open(&directory).is_ok()).await;
    let service = RunningService::start(&script, &directory, options());
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    service.stop().await;
    assert_eq!(count(&directory), 101);
}

/// While no file can be created, the service acknowledges nothing and names the reason. It goes on by itself when
/// the cause is gone.
#[tokio::test]
async fn a_service_goes_on_after_a_disk_that_refuses_writes() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    let script = SourceScript::default();
    let service = RunningService::start(&script, &directory, options());
    eventually("the service runs", || directory.join("control.sqlite").exists()).await;
    set_immutable(&directory, true);
    publish(&script, 0..101);
    eventually("the error is told", || service.monitor.status().error.is_some()).await;
    let error = service.monitor.status().error.unwrap();
    set_immutable(&directory, false);
    assert!(error.contains("Operation not permitted"), "{error}");
    assert_eq!(script.acked(), Vec::<Vec<u8>>::new());
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    assert_eq!(service.monitor.status().error, None);
    service.stop().await;
    assert_eq!(count(&directory), 101);
}

/// A file system that became read-only after an error is named, and nothing is acknowledged. The service stops in
/// time, and the next one stores each notification once when the disk is repaired.
#[tokio::test]
async fn a_read_only_disk_is_named_and_acknowledges_nothing() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    let script = SourceScript::default();
    let service = start_and_store_half(&script, &directory).await;

    disk.make_read_only();
    publish(&script, 50..101);
    // The first failure is that of a write; the next attempt finds the reason.
    eventually("the reason is told", || {
        let error = service.monitor.status().error;
        error.is_some_and(|error| error.contains("read-only") || error.contains("Read-only"))
    })
    .await;
    let begin = Instant::now();
    let stats = service.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    assert_eq!((stats.total.acked, script.unacked()), (50, 51));

    disk.repair();
    let service = RunningService::start(&script, &directory, options());
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    service.stop().await;
    assert_eq!(count(&directory), 101);
    assert_eq!(Archive::open(&directory).unwrap().verify().unwrap().problems, []);
}

/// On a full disk, the service removes the month that its bounds no longer allow, although nothing can be written
/// before that. Then it goes on by itself.
#[tokio::test]
async fn a_service_makes_room_on_a_full_disk() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    store_old_month(&directory);
    let old = directory.join("2025-07.sqlite");
    let script = SourceScript::default();
    let mut options = options();
    let most = fs::metadata(&old).unwrap().len();
    options.retention = RetentionPolicy { max_age: None, max_bytes: Some(most) };
    let service = RunningService::start(&script, &directory, options);
    publish(&script, 0..50);
    eventually("the first half is acknowledged", || script.acked().len() == 50).await;
    assert!(old.exists());

    fill(&disk.path().join("filler"));
    publish(&script, 50..101);
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    assert!(service.monitor.status().failed_writes > 0 && !old.exists());
    service.stop().await;
    assert_eq!(count(&directory), 101);
    assert!(!directory.join("2025-07.sqlite.removed").exists());
    assert_eq!(Archive::open(&directory).unwrap().verify().unwrap().problems, []);
}

/// A service that starts on a full disk makes room too, although it cannot open the control file before that.
#[tokio::test]
async fn a_service_that_starts_on_a_full_disk_makes_room() {
    let Some(disk) = disk() else { return };
    let directory = disk.path().join("a");
    store_old_month(&directory);
    let script = SourceScript::default();
    let service = RunningService::start(&script, &directory, options());
    publish(&script, 0..50);
    eventually("the first half is acknowledged", || script.acked().len() == 50).await;
    service.stop().await;

    fill(&disk.path().join("filler"));
    let old = directory.join("2025-07.sqlite");
    let mut options = options();
    let most = fs::metadata(&old).unwrap().len();
    options.retention = RetentionPolicy { max_age: None, max_bytes: Some(most) };
    let service = RunningService::start(&script, &directory, options);
    publish(&script, 50..101);
    eventually("everything is acknowledged", || script.unacked() == 0).await;
    assert!(!old.exists());
    service.stop().await;
    assert_eq!(count(&directory), 101);
    assert_eq!(Archive::open(&directory).unwrap().verify().unwrap().problems, []);
}

/// Returns a disk, or `None` on a machine that cannot mount one.
fn disk() -> Option<MountedDisk> {
    MountedDisk::mount().inspect_err(|reason| println!("skipped: {reason}")).ok()
}

/// Stores a month of notifications, more than five hundred days old.
fn store_old_month(directory: &Path) {
    let mut records = Vec::new();
    for _ in 0..10 {
        for mut record in read_all(&day()) {
            record.message_id = uuid::Uuid::from_u128(records.len() as u128 + 1);
            record.timestamp -= time::Duration::days(500);
            record.arrival.received_at = Some(record.timestamp);
            records.push(record);
        }
    }
    let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
    ArchiveWriter::open(directory).unwrap().append(&batch).unwrap();
}

/// Starts a service that has stored and acknowledged the first 50 notifications.
async fn start_and_store_half(script: &SourceScript, directory: &Path) -> RunningService {
    let service = RunningService::start(script, directory, options());
    publish(script, 0..50);
    eventually("the first half is acknowledged", || script.acked().len() == 50).await;
    service
}

/// Returns options with short waits.
fn options() -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.linger = Duration::ZERO;
    options.grace = Duration::from_secs(2);
    options
}

/// Publishes some notifications of the day of a small cloud.
fn publish(script: &SourceScript, lines: std::ops::Range<usize>) {
    let day = day();
    let lines = day.lines().skip(lines.start).take(lines.len());
    script.publish_bytes(lines.map(|line| line.as_bytes().to_vec()));
}

/// Writes to a file until its disk has no room left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [65536, 512] {
        let chunk = vec![0; size];
        while file.write_all(&chunk).is_ok() {}
        file.sync_all().unwrap();
    }
}

/// Forbids or allows changes of a directory's entries, also to root.
fn set_immutable(directory: &Path, is_immutable: bool) {
    let flag = if is_immutable { "+i" } else { "-i" };
    let status = Command::new("chattr").arg(flag).arg(directory).status().unwrap();
    assert!(status.success());
}
