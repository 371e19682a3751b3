//! The account of a process that adopts orphans.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_spool::Config;
use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};

use crate::model::environment::ProcessDisk;
use crate::support::{assert_balanced, open_spool, send_once, start, until};

/// A disk that cannot record the outcomes of an orphan makes the process adopt it again. The account
/// counts its messages once, and has nothing pending when all are delivered.
#[tokio::test]
async fn an_orphan_that_is_adopted_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let disk = FaultyDisk::new(1);
    let config = || Config::new(&path).on_disk(ProcessDisk::of_current_process(&disk) as Arc<_>);
    let script = Script::default();
    script.set_stalled(true);
    let mut own = open_spool(config());
    send_once(&mut own, &samples::messages(0..1)).await;
    let mut neighbour = open_spool(config());
    send_once(&mut neighbour, &samples::messages(100..120)).await;
    drop((own, neighbour));
    until("two free slots", || !is_locked(&path, 0) && !is_locked(&path, 1)).await;

    let running = start(config(), &script);
    until("the adoption", || running.forwarded().pending.messages == 21).await;
    disk.fail(DiskFault {
        on: DiskOperation::Sync,
        after: 0,
        failure: DiskFailure::Io,
        lasting: true,
    });
    script.set_stalled(false);
    until("the release of the orphan", || !is_locked(&path, 1)).await;
    assert_eq!(script.stored().len(), 21);
    assert_balanced(&running.forwarded());
    assert_eq!(running.forwarded().emitted, 21);
    disk.heal();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(6)).await;
    tokio::time::resume();
    until("recording of all outcomes", || running.forwarded().pending.messages == 0).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered, stats.oldest_pending), (21, 21, None));
    assert_eq!(script.stored().len(), 41, "the outcomes of the orphan were not on the disk");
}

/// Whether a process has written its status into the lock of a slot.
fn is_locked(path: &Path, slot: u32) -> bool {
    std::fs::read(path.join(format!("slot-{slot}.lock"))).is_ok_and(|status| !status.is_empty())
}
