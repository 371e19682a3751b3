//! `logrotate` itself, while writers write and the source restarts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify_conformance::samples;
use notify_core::listener::SettlementOutcome;
use notify_core::{Batch, Message, Transport, Verdict};
use notify_log::{Config, FileConfig, Log};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::place::{LONG, Place};

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

/// Rotates, as `notify-log` recommends with `nocreate`, while writers write and the source restarts.
/// Returns how often each line was acknowledged.
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

/// A guard that ends the rotation.
struct EndOfRotation<'a>(&'a AtomicBool);

impl Drop for EndOfRotation<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The writers of a rotation test, and the lines of each.
const WRITERS: usize = 4;
const LINES: usize = 600;
