//! The source of log files through rotations, restarts and damage.

#![cfg(feature = "source")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify_conformance::samples;
use notify_core::codec::LineFilter;
use notify_core::listener::{DeadLetters, Listener, SettlementOutcome, SourceState};
use notify_core::{Batch, Message, Transport, Verdict};
use notify_log::{Config, FileConfig, FileSource, FileSourceConfig, LineForm, LineSource, Log};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// A renamed file is read to its end, also what comes late, and then the new one.
#[tokio::test]
async fn follows_a_rename_and_reads_late_lines() {
    let place = Place::new();
    let mut old = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    write(&mut old, 3..4);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    place.append(5..7);
    assert_eq!(take(&mut listener, 3).await, place.numbers([3, 5, 6]));
    write(&mut old, 4..5);
    assert_eq!(take(&mut listener, 1).await, place.numbers(4..5));
}

/// A file that is rotated at the start is no missing file: the program that writes creates it with its next
/// line. A file without rotated ones is missing.
#[tokio::test]
async fn a_rotation_at_the_start_is_no_missing_file() {
    let place = Place::new();
    let mut listener = place.listener(|_| {});
    let error = listener.next_batch(1, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("does not exist (check the path)"), "{error}");

    place.append(0..3);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    let mut listener = place.listener(|_| {});
    let next = listener.next_batch(1, Duration::ZERO);
    assert!(timeout(Duration::from_millis(50), next).await.is_err(), "there is no line yet");
    place.append(3..5);
    assert_eq!(take(&mut listener, 2).await, place.numbers(3..5));
}

/// `copytruncate`: the lines that were not read are in the copy, and later ones in the file.
#[tokio::test]
async fn continues_in_the_copy_of_copytruncate() {
    let place = Place::new();
    let mut file = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    drop(listener.close(LONG).await);
    write(&mut file, 3..6);
    fs::copy(place.path(), place.named("n.log.1")).unwrap();
    file.set_len(0).unwrap();
    // More than there was, so that the size alone says nothing.
    place.append(10..20);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 13).await, place.numbers((3..6).chain(10..20)));

    // The same while the source runs.
    fs::copy(place.path(), place.named("n.log.2")).unwrap();
    file.set_len(0).unwrap();
    place.append(30..60);
    assert_eq!(take(&mut listener, 30).await, place.numbers(30..60));
}

/// A file that is written anew, with the same inode and more bytes, is read from its start, and what may
/// be missing is reported.
#[tokio::test]
async fn reads_a_file_that_was_written_anew() {
    let place = Place::new();
    let file = place.append(0..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    file.set_len(0).unwrap();
    place.append(10..30);
    assert_eq!(take(&mut listener, 20).await, place.numbers(10..30));
    let changes = listener.take_coverage_changes();
    let lost = |state: &SourceState| matches!(state, SourceState::Detached { reason, .. } if reason.contains("without a copy"));
    assert!(changes.iter().any(|change| lost(&change.state)), "{changes:?}");
}

/// After a restart, the source finds its file among the rotated ones, compressed or not, and reads those
/// that came after it.
#[tokio::test]
async fn resumes_among_rotated_files() {
    for compress in [false, true] {
        let place = Place::new();
        place.append(0..4);
        let mut listener = place.listener(|_| {});
        assert_eq!(take(&mut listener, 2).await, place.numbers(0..2));
        drop(listener.close(LONG).await);
        // An older file that was never ours, and two rotations.
        fs::write(place.named("n.log.3"), lines(90..95)).unwrap();
        fs::rename(place.path(), place.named("n.log.2")).unwrap();
        place.append(4..6);
        fs::rename(place.path(), place.named("n.log.1")).unwrap();
        place.append(6..8);
        if compress {
            for name in ["n.log.3", "n.log.2", "n.log.1"] {
                assert!(Command::new("gzip").arg(place.named(name)).status().unwrap().success());
            }
        }
        let mut listener = place.listener(|_| {});
        assert_eq!(take(&mut listener, 6).await, place.numbers(2..8), "compress: {compress}");
        nothing_more(&mut listener).await;
    }
}

/// A source that stops before the file has its first line reads that line from a rotated file.
#[tokio::test]
async fn a_restart_before_the_first_line_loses_nothing() {
    let place = Place::new();
    place.append(0..0);
    let mut listener = place.listener(|_| {});
    nothing_more(&mut listener).await;
    drop(listener.close(LONG).await);
    place.append(0..2);
    fs::rename(place.path(), place.named("n.log.1")).unwrap();
    place.append(2..3);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
}

/// A file whose inode was given to another one is not mistaken for it: the contents decide.
#[tokio::test]
async fn an_inode_that_is_used_again_is_a_new_file() {
    let place = Place::new();
    let file = place.append(0..4);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 4).await, place.numbers(0..4));
    drop(listener.close(LONG).await);
    fs::copy(place.path(), place.named("n.log.1")).unwrap();
    file.set_len(0).unwrap();
    place.append(4..10);
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 6).await, place.numbers(4..10));
    nothing_more(&mut listener).await;
}

/// Lines of other loggers are skipped, and a line that is cut stays unread until it is complete.
#[tokio::test]
async fn reads_a_log_of_a_service() {
    let place = Place::new();
    let body = samples::messages(0..1)[0].body().to_vec();
    let mut text = b"2026-11-22 12:54:26.1 7 INFO eventlet.wsgi [-] GET /v2/images\n".to_vec();
    text.extend(b"2026-11-22 12:54:26.5 7 INFO oslo.messaging.notification.image.create [-] ");
    text.extend(&body);
    text.extend(b"\n2026-11-22 12:54:26.6 7 ERROR glance {not ours}\n");
    text.extend(&lines(1..2)[..50]);
    fs::write(place.path(), text).unwrap();
    let mut listener = place.listener(|_| {});
    assert_eq!(take(&mut listener, 1).await, place.numbers(0..1));
    nothing_more(&mut listener).await;
    let mut file = OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(&lines(1..2)[50..]).unwrap();
    assert_eq!(take(&mut listener, 1).await, place.numbers(1..2));
    assert_eq!(listener.stats().total.unreadable, 0);
}

/// Compressed files, and files that are not followed, are read to their end.
#[tokio::test]
async fn ends_at_the_end_of_a_file_that_is_not_followed() {
    let place = Place::new();
    place.append(0..500);
    assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
    for _ in 0..2 {
        let mut listener = place.listener(|config| {
            config.path = place.named("n.log.gz");
            config.follow = false;
            config.checkpoint = None;
        });
        assert_eq!(take(&mut listener, 500).await, place.numbers(0..500));
        assert!(listener.next_delivery().await.unwrap().is_none());
    }
}

/// A filter changes the number of lines that are handed over, and neither the account nor the positions: the
/// lines that it excludes are counted, and the next run begins behind them.
#[tokio::test]
async fn excluded_lines_are_counted_and_not_read_again() {
    for compress in [false, true] {
        let place = Place::new();
        place.append(0..2_000);
        let name = if compress { "n.log.gz" } else { "n.log" };
        if compress {
            assert!(Command::new("gzip").arg(place.path()).status().unwrap().success());
        }
        let wanted = place.numbers([700, 1_500]);
        let once = |config: &mut FileSourceConfig| {
            config.path = place.named(name);
            config.follow = false;
        };
        let with_filter = |config: &mut FileSourceConfig| {
            once(config);
            config.filter = LineFilter::new(wanted.iter().map(Uuid::to_string));
        };
        let mut listener = place.listener(with_filter);
        assert_eq!(take(&mut listener, 1).await, wanted[..1]);
        // It goes back to the file.
        drop(next(&mut listener).await.release());
        drop(listener.close(LONG).await);

        let mut listener = place.listener(with_filter);
        assert_eq!(take(&mut listener, 1).await, wanted[1..]);
        assert!(listener.next_delivery().await.unwrap().is_none());
        let total = listener.close(LONG).await.total;
        assert_eq!((total.received, total.acked, total.skipped), (1, 1, 499));

        let mut listener = place.listener(once);
        assert!(listener.next_delivery().await.unwrap().is_none(), "compress: {compress}");
    }
}

/// Lines of a service's log that hold no notification are not counted with the excluded ones, in a file as in
/// a stream, whatever its buffer.
#[tokio::test]
async fn excluded_lines_are_the_lines_that_would_be_received() {
    let place = Place::new();
    let mut text = Vec::new();
    for number in 0..40 {
        text.extend(b"2026-11-22 12:54:26.1 7 INFO eventlet.wsgi [-] GET /v2/images\n\n");
        text.extend(b"2026-11-22 12:54:26.5 7 INFO oslo.messaging.notification.image.create [-] ");
        text.extend(lines(number..number + 1));
    }
    let filter = LineFilter::new(place.numbers([20]).iter().map(Uuid::to_string));
    fs::write(place.path(), &text).unwrap();
    let mut listeners = vec![place.listener(|config| {
        config.follow = false;
        config.filter = filter.clone();
    })];
    for capacity in [1, 100, 3_000, 100_000] {
        let input = std::io::Cursor::new(text.clone());
        let input = std::io::BufReader::with_capacity(capacity, input);
        let source = LineSource::filtered("stream", input, LineForm::Auto, filter.clone());
        listeners.push(Listener::builder(source, DeadLetters::Discard).start().unwrap());
    }
    for mut listener in listeners {
        assert_eq!(take(&mut listener, 1).await, place.numbers([20]));
        assert!(listener.next_delivery().await.unwrap().is_none());
        let total = listener.close(LONG).await.total;
        // The first line decides the form, and is no notification here.
        assert_eq!((total.received, total.skipped), (1, 39));
    }
}

/// Without a checkpoint, a source may start at the end.
#[tokio::test]
async fn starts_at_the_end_if_asked_to() {
    let place = Place::new();
    place.append(0..3);
    let mut listener = place.listener(|config| {
        config.from_end = true;
        config.checkpoint = None;
    });
    while !matches!(listener.stats().sources[0].state, SourceState::Attached { .. }) {
        sleep(Duration::from_millis(1)).await;
    }
    place.append(3..5);
    assert_eq!(take(&mut listener, 2).await, place.numbers(3..5));
}

/// A checkpoint that cannot be written ends the session; nothing is lost, and reading goes on.
#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_loses_nothing() {
    let place = Place::new();
    place.append(0..3);
    fs::create_dir(place.named("state")).unwrap();
    let in_state = |config: &mut FileSourceConfig| {
        config.checkpoint = Some(place.named("state").join("position"));
    };
    let mut listener = place.listener(in_state);
    let delivery = next(&mut listener).await;
    fs::rename(place.named("state"), place.named("away")).unwrap();
    assert_eq!(delivery.ack().await.unwrap(), SettlementOutcome::Stale);
    fs::rename(place.named("away"), place.named("state")).unwrap();
    assert_eq!(take(&mut listener, 3).await, place.numbers(0..3));
    drop(listener.close(LONG).await);
    let mut listener = place.listener(in_state);
    nothing_more(&mut listener).await;
}

/// Four writers, `logrotate` every 50 ms, and restarts of the source in between: every line
/// on the disk is acknowledged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logrotate_every_50_ms_loses_and_repeats_nothing() {
    let place = Place::new();
    let acked = rotate_while_reading(&place, "nocompress");
    assert_eq!(acked, place.count_all_lines());
    assert_eq!(acked.len(), WRITERS * LINES, "a writer lost lines");
}

/// The same with `compress`. A writer may meet the compression of the file that it writes to, and then
/// writes its lines again; so a line may come as often as it was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logrotate_with_compress_loses_nothing() {
    let place = Place::new();
    let acked = rotate_while_reading(&place, "compress");
    let on_disk = place.count_all_lines();
    let missing: Vec<_> = on_disk.keys().filter(|id| !acked.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} lines are missing", missing.len(), on_disk.len());
    assert_eq!(on_disk.len(), WRITERS * LINES, "a writer lost lines");
    let again = acked.iter().filter(|(id, count)| **count > on_disk[id]).count();
    assert!(again < WRITERS * LINES / 10, "{again} lines came again");
}

/// Rotates, as `notify-log` recommends with `nocreate`, while writers write and the source restarts. Returns how often each line was acknowledged.
fn rotate_while_reading(place: &Place, option: &str) -> BTreeMap<Uuid, usize> {
    let rules = place.named("logrotate.conf");
    let text = format!(
        "{} {{\n size 1\n rotate 2000\n missingok\n nocreate\n {option}\n su root root\n}}\n",
        place.path().display()
    );
    fs::write(&rules, text).unwrap();
    place.append(0..0);
    let (writing, rotating) = (AtomicBool::new(true), AtomicBool::new(true));
    // A source without a checkpoint leaves out files that were rotated before its start.
    let has_begun = AtomicBool::new(false);
    let mut acked = BTreeMap::new();
    std::thread::scope(|threads| {
        // If the test fails, the rotation must end too: the scope waits for it.
        let _end = EndOfRotation(&rotating);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| threads.spawn(move || write_slowly(&place.path(), writer)))
            .collect();
        let (writing, rotating, has_begun) = (&writing, &rotating, &has_begun);
        threads.spawn(move || {
            for writer in writers {
                writer.join().unwrap();
            }
            writing.store(false, Ordering::SeqCst);
        });
        threads.spawn(move || {
            while rotating.load(Ordering::SeqCst) {
                if !has_begun.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let mut logrotate = Command::new("/usr/sbin/logrotate");
                let logrotate = logrotate.arg("--state").arg(place.named("state")).arg(&rules);
                assert!(logrotate.status().unwrap().success());
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut random = 7_u64;
                let mut is_last = false;
                while !is_last {
                    is_last = !writing.load(Ordering::SeqCst);
                    if is_last {
                        rotating.store(false, Ordering::SeqCst);
                    }
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let batches = if is_last { usize::MAX } else { (random >> 33) as usize % 20 };
                    read_batches(place, batches, &mut acked).await;
                    has_begun.fetch_or(!acked.is_empty(), Ordering::SeqCst);
                }
            });
        });
    });
    acked
}

/// Opens the source, acknowledges a number of batches, and closes it in order or drops it. Without an
/// end to the batches, stops when every line is there and the files are quiet.
async fn read_batches(place: &Place, batches: usize, acked: &mut BTreeMap<Uuid, usize>) {
    let mut listener = place.listener(|_| {});
    for _ in 0..batches {
        let is_last = batches == usize::MAX && acked.len() < WRITERS * LINES;
        let wait = if is_last { LONG } else { Duration::from_millis(200) };
        let next = listener.next_batch(100, Duration::from_millis(5));
        let Ok(batch) = timeout(wait, next).await else { break };
        let batch = batch.unwrap().unwrap();
        let ids: Vec<_> = batch.messages().map(Message::id).collect();
        assert_eq!(ids.len(), batch.len(), "a line was read in part");
        if batch.ack().await.unwrap() == SettlementOutcome::Settled {
            for id in ids {
                *acked.entry(id).or_default() += 1;
            }
        }
    }
    if batches.is_multiple_of(2) {
        drop(listener.close(LONG).await);
    }
}

/// Writes the lines of one writer, a few at a time, as the strategy `log` does.
fn write_slowly(path: &Path, writer: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut log = Log::new(Config::File(FileConfig::new(path).sync(false)));
        let first = (writer * LINES) as u64;
        let messages = samples::messages(first..first + LINES as u64);
        for mut rest in messages.chunks(10) {
            while !rest.is_empty() {
                let mut accepted = 0;
                let mut sink = |settlements: notify_core::transport::Settlements<'_>| {
                    accepted += settlements.filter(|(_, v)| matches!(v, Verdict::Accept)).count();
                };
                drop(log.send(&mut Batch::new(rest, &mut sink)).await);
                rest = &rest[accepted..];
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Counts the notifications of a text by their ids.
fn count_lines(text: &[u8], counts: &mut BTreeMap<Uuid, usize>) {
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        *counts.entry(Message::from_body(line.to_vec()).unwrap().id()).or_default() += 1;
    }
}

/// A guard that ends the rotation.
struct EndOfRotation<'a>(&'a AtomicBool);

impl Drop for EndOfRotation<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A log file in a temporary directory.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn named(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn path(&self) -> PathBuf {
        self.named("n.log")
    }

    /// Appends samples to the live file, which it creates.
    fn append(&self, numbers: std::ops::Range<u64>) -> File {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
        write(&mut file, numbers);
        file
    }

    /// Returns the ids of samples.
    #[expect(clippy::unused_self, reason = "it reads well at the end of an assertion")]
    fn numbers(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Uuid> {
        numbers.into_iter().map(|number| samples::notification(number).message_id).collect()
    }

    /// Counts the notifications in the live file and in all rotated ones.
    fn count_all_lines(&self) -> BTreeMap<Uuid, usize> {
        let mut counts = BTreeMap::new();
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("n.log") {
                let output = Command::new("zcat").arg("-f").arg(path).output().unwrap();
                count_lines(&output.stdout, &mut counts);
            }
        }
        counts
    }

    /// Starts a listener on the live file, with a checkpoint.
    fn listener(&self, change: impl FnOnce(&mut FileSourceConfig)) -> Listener {
        let mut config = FileSourceConfig::new(self.path());
        config.checkpoint = Some(self.named("position"));
        config.poll = Duration::from_millis(10);
        change(&mut config);
        let dead_letters = DeadLetters::file(self.named("dead.jsonl"));
        Listener::builder(FileSource::new(config), dead_letters).start().unwrap()
    }
}

/// Returns samples as lines.
fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let messages = samples::messages(numbers);
    messages.iter().flat_map(|message| [message.body(), b"\n"].concat()).collect()
}

fn write(file: &mut File, numbers: std::ops::Range<u64>) {
    file.write_all(&lines(numbers)).unwrap();
}

/// Returns the next delivery.
async fn next(listener: &mut Listener) -> notify_core::listener::Delivery {
    let next = timeout(LONG, listener.next_delivery()).await;
    next.unwrap_or_else(|_| panic!("a line is missing: {:?}", listener.stats())).unwrap().unwrap()
}

/// Acknowledges a number of deliveries and returns their ids in order.
async fn take(listener: &mut Listener, count: usize) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let delivery = next(listener).await;
        ids.push(delivery.message().unwrap().id());
        delivery.ack().await.unwrap();
    }
    ids
}

/// Asserts that no delivery comes for a while.
async fn nothing_more(listener: &mut Listener) {
    let more = timeout(Duration::from_millis(200), listener.next_delivery()).await;
    assert!(more.is_err(), "{more:?}");
}

/// The writers of a rotation test, and the lines of each.
const WRITERS: usize = 4;
const LINES: usize = 600;
/// A time that is over only if something is stuck.
const LONG: Duration = Duration::from_secs(60);
