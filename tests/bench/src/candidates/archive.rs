//! The archive: filling it from lines, asking it, and what a user would write with `rusqlite` instead.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glance_notify::codec::serde_json::{self, Value};
use glance_notify::listen::{DeadLetters, FileSource, FileSourceConfig, Listener, ListenerConfig};
use glance_notify::time::OffsetDateTime;
use notify_archive::question::{
    Calendar, EventFilter, ProjectNames, ReportGroup, UsageKind, UsageReport,
};
use notify_archive::record::{RecordLines, RecordReader};
use notify_archive::service::{ArchiveService, ServiceOptions};
use notify_archive::store::{ArchiveBatch, ImportBatches, ReadScope, RecordDetail};
use notify_archive::{Archive, ArchiveWriter};
use rusqlite::{Connection, params};

use crate::cloud_month::{self, PROJECTS};
use crate::task::{BenchTask, Clock, Measurement};

/// Reads lines and appends them in batches, each committed and synced.
pub(crate) fn ingest(task: &BenchTask) -> Measurement {
    let lines = lines_file(task);
    let directory = fresh(task, "ours");
    let clock = Clock::start();
    fill(&lines, &directory);
    let measurement = clock.stop(task.messages);
    keep(&directory, task);
    measurement
}

/// Reads lines and inserts them with the same schema, batches and syncs, without a checksum, a comparison of
/// contents or a position.
pub(crate) fn ingest_by_hand(task: &BenchTask) -> Measurement {
    let lines = lines_file(task);
    let directory = fresh(task, "peer");
    // The archive makes the tables.
    let open =
        || BufReader::with_capacity(256 * 1024, File::open(&lines).expect("the lines exist"));
    let first = open().lines().next().expect("there are lines").expect("readable");
    let record = RecordReader::new("bench").read(first.as_bytes()).expect("a notification");
    let batch = ArchiveBatch { records: vec![record], ..ArchiveBatch::default() };
    ArchiveWriter::open(&directory)
        .and_then(|mut writer| writer.append(&batch))
        .expect("a new archive");
    let clock = Clock::start();
    let mut sqlite = Connection::open(directory.join(MONTH)).expect("the archive has the month");
    sqlite.pragma_update(None, "synchronous", "FULL").expect("SQLite knows it");
    sqlite.pragma_update(None, "cache_size", -16 * 1024).expect("SQLite knows it");
    sqlite.pragma_update(None, "wal_autocheckpoint", 4096).expect("SQLite knows it");
    let mut lines = open().lines().map(|line| line.expect("readable")).peekable();
    while lines.peek().is_some() {
        let transaction = sqlite.transaction().expect("no other writer");
        let mut insert = transaction.prepare_cached(INSERT).expect("the table has these columns");
        for line in lines.by_ref().take(task.window) {
            let event: Value = serde_json::from_str(&line).expect("JSON");
            let payload = &event["payload"];
            let text = |value: &'_ Value| value.as_str().map(str::to_owned);
            let id: uuid::Uuid =
                event["message_id"].as_str().expect("an id").parse().expect("a UUID");
            let time = event["timestamp"].as_str().expect("a time");
            let time: jiff::civil::DateTime = time.parse().expect("a time");
            let time = time.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has no gaps");
            let subject = text(&payload["id"]).or_else(|| text(&payload["image_id"]));
            let owner = text(&payload["owner"]).or_else(|| text(&payload["owner_id"]));
            insert
                .execute(params![
                    id.as_bytes().as_slice(),
                    id.as_bytes().as_slice(),
                    time.timestamp().as_microsecond(),
                    text(&event["event_type"]),
                    text(&event["priority"]),
                    text(&event["publisher_id"]),
                    "bench",
                    subject,
                    text(&payload["name"]),
                    text(&payload["status"]),
                    owner,
                    text(&payload["receiver_tenant_id"]),
                    text(&payload["receiver_user_id"]),
                    payload["bytes_sent"].as_i64(),
                    payload["size"].as_i64(),
                    line.as_bytes(),
                ])
                .expect("the disk has room");
        }
        drop(insert);
        transaction.commit().expect("the disk syncs");
    }
    let measurement = clock.stop(task.messages);
    fs::remove_dir_all(&directory).expect("the directory is writable");
    measurement
}

/// Asks for the lives of 200 images, each with all bodies.
pub(crate) fn life(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let scope = ReadScope { detail: RecordDetail::Bodies, ..ReadScope::default() };
    let clock = Clock::start();
    let mut events = 0;
    for image in images(task) {
        let archive = Archive::open(&directory).expect("an archive");
        let filter = EventFilter { images: vec![image], ..EventFilter::default() };
        archive.read(&filter, scope, |_| events += 1).expect("readable");
    }
    assert!(events >= LIVES, "every image has a life");
    clock.stop(LIVES)
}

/// Selects the same rows with SQLite alone.
pub(crate) fn life_by_hand(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let clock = Clock::start();
    let (mut events, mut bytes) = (0, 0);
    for image in images(task) {
        let sqlite = Connection::open(directory.join(MONTH)).expect("the archive has the month");
        let mut select =
            sqlite.prepare("SELECT * FROM event WHERE subject = ? ORDER BY ts").expect("a table");
        let mut rows = select.query([image]).expect("readable");
        while let Some(row) = rows.next().expect("readable") {
            events += 1;
            bytes += row.get_ref("body").expect("a column").as_blob().expect("a blob").len();
        }
    }
    assert!(events >= LIVES && bytes > 0, "every image has a life");
    clock.stop(LIVES)
}

/// Asks for a month's transfers by project.
pub(crate) fn transfers(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let calendar = Calendar::utc();
    let month = calendar.interval("2026-11").expect("a month");
    let filter = EventFilter {
        events: UsageKind::Transfers.events(),
        since: Some(month.start),
        until: Some(month.end),
        ..EventFilter::default()
    };
    let clock = Clock::start();
    let archive = Archive::open(&directory).expect("an archive");
    let mut report = UsageReport::new(UsageKind::Transfers, ReportGroup::Project, calendar);
    archive.count_usage(&filter, Duration::from_secs(600), &mut report).expect("readable");
    let answer = report.finish(&ProjectNames::default());
    assert_eq!(answer.rows.len(), PROJECTS);
    clock.stop(task.messages)
}

/// Aggregates the same rows with SQLite alone.
pub(crate) fn transfers_by_hand(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let month = Calendar::utc().interval("2026-11").expect("a month");
    let micros =
        |time: OffsetDateTime| i64::try_from(time.unix_timestamp_nanos() / 1000).expect("a time");
    let clock = Clock::start();
    let sqlite = Connection::open(directory.join(MONTH)).expect("the archive has the month");
    let mut select = sqlite
        .prepare(
            "SELECT receiver, count(*), sum(bytes) FROM event WHERE event_type = 'image.send' AND ts >= ? \
             AND ts < ? GROUP BY receiver",
        )
        .expect("a table");
    let rows =
        select.query_map([micros(month.start), micros(month.end)], |row| row.get::<_, i64>(2));
    assert_eq!(rows.expect("readable").count(), PROJECTS);
    clock.stop(task.messages)
}

/// Reads the same lines as the service does: from a source, through a listener, with an acknowledgement after
/// each commit.
pub(crate) fn service(task: &BenchTask) -> Measurement {
    let lines = lines_file(task);
    let directory = fresh(task, "service");
    let mut file = FileSourceConfig::new(lines);
    file.follow = false;
    let clock = Clock::start();
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    let stats = runtime.block_on(async {
        let mut config = ListenerConfig::default();
        config.prefetch = 2 * task.window;
        let listener = Listener::builder(FileSource::new(file), DeadLetters::Discard);
        let listener = listener.config(config).start().expect("the runtime runs");
        let writer = ArchiveWriter::open(&directory).expect("a new archive");
        let mut options = ServiceOptions::default();
        options.batch = task.window;
        let service = ArchiveService::new(listener, writer, options).expect("a thread");
        service.run(std::future::pending()).await.expect("readable")
    });
    assert_eq!(stats.total.acked, task.messages as u64);
    let measurement = clock.stop(task.messages);
    fs::remove_dir_all(&directory).expect("the directory is writable");
    measurement
}

/// Reports the bytes of the archive's files and the bytes of the bodies of one day, each for one event.
pub(crate) fn size(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let mut measurement = Clock::start().stop(task.messages);
    let files = fs::read_dir(&directory)
        .expect("a directory")
        .map(|entry| entry.and_then(|entry| entry.metadata()).expect("a file").len() as f64);
    let archive = Archive::open(&directory).expect("an archive");
    let scope = ReadScope { detail: RecordDetail::Bodies, ..ReadScope::default() };
    let day = Calendar::utc().interval("2026-11-14").expect("a day");
    let filter =
        EventFilter { since: Some(day.start), until: Some(day.end), ..EventFilter::default() };
    let (mut bodies, mut events) = (0, 0);
    archive
        .read(&filter, scope, |record| {
            bodies += record.body.len();
            events += 1;
        })
        .expect("readable");
    measurement.series =
        vec![files.sum::<f64>() / measurement.messages, bodies as f64 / f64::from(events)];
    measurement
}

/// Fills an archive from a file of lines, as `archive import` does.
fn fill(lines: &Path, directory: &Path) {
    let mut writer = ArchiveWriter::open(directory).expect("a new archive");
    let reader = BufReader::with_capacity(256 * 1024, File::open(lines).expect("the lines exist"));
    let lines = RecordLines::new(reader, RecordReader::new("bench"));
    for import in ImportBatches::read_ahead(lines, "bench", None).expect("a thread") {
        let batch = import.expect("readable").batch;
        assert!(batch.unreadable.is_empty(), "every line is a notification");
        writer.append(&batch).expect("the disk has room");
    }
}

/// Keeps a filled archive for the candidates that ask it, if it is the first.
fn keep(directory: &Path, task: &BenchTask) {
    let kept = kept(task);
    if kept.exists() {
        fs::remove_dir_all(directory).expect("the directory is writable");
    } else {
        fs::rename(directory, kept).expect("the directory is writable");
    }
}

/// Returns the archive with the events of the task. Fills it if no candidate has.
pub(super) fn filled(task: &BenchTask) -> PathBuf {
    let kept = kept(task);
    if !kept.exists() {
        ingest(task);
    }
    kept
}

/// Returns the directory of the archive that is kept.
fn kept(task: &BenchTask) -> PathBuf {
    task.file.with_extension(format!("filled-{}", task.messages))
}

/// Returns an empty directory.
fn fresh(task: &BenchTask, name: &str) -> PathBuf {
    let directory = task.file.with_extension(name);
    if directory.exists() {
        fs::remove_dir_all(&directory).expect("the candidate made the directory");
    }
    directory
}

/// Returns the ids of some images, spread over the month.
fn images(task: &BenchTask) -> Vec<String> {
    let all = task.messages / cloud_month::EVENTS_OF_AN_IMAGE;
    (0..LIVES).map(|index| cloud_month::image_id(index * all / LIVES)).collect()
}

/// Returns the file with the lines of the task. The first candidate writes it.
pub(super) fn lines_file(task: &BenchTask) -> PathBuf {
    let path = task.file.with_extension(format!("lines-{}", task.messages));
    if !path.exists() {
        let part = path.with_extension("part");
        cloud_month::write(&part, task.messages);
        fs::rename(&part, &path).expect("the directory is writable");
    }
    path
}

/// The file of the month.
pub(super) const MONTH: &str = "2026-11.sqlite";
/// The number of lives that one measurement asks for.
const LIVES: usize = 200;
const INSERT: &str = "INSERT INTO event (message_id, hash, reused, ts, event_type, priority, publisher, source, \
    subject, name, status, owner, receiver, receiver_user, bytes, size, encoding, body, checksum) \
    VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0) ON CONFLICT DO NOTHING";
