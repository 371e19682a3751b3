//! A power cut: at every moment of a spool's first steps, and after a sync failed.

use std::fs;
use std::sync::Arc;

use notify_conformance::samples;
use notify_core::Transport as _;
use notify_spool::{Config, Spool};
use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};

use crate::model::world::DiskOf;
use crate::support::{attempt, bodies, keep, left_in};

/// Also in the middle of making the database, and after the disk had failed there.
#[tokio::test]
async fn whenever_the_power_is_cut_what_was_accepted_is_there_and_the_spool_goes_on() {
    let messages = samples::messages(0..10);
    for failure in [DiskFailure::PowerCut, DiskFailure::Kill, DiskFailure::Io, DiskFailure::Full] {
        for after in 0..80 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s");
            let disk = FaultyDisk::new(after);
            let mut spool = open(&path, &disk);
            disk.fail(DiskFault { on: DiskOperation::Any, after, failure, lasting: true });
            let (first, _) = attempt(&mut spool, &messages[..5]).await;
            disk.cut_power();
            spool.close().await.unwrap();
            disk.heal();
            let mut spool = open(&path, &disk);
            let (second, error) = attempt(&mut spool, &messages[5..]).await;
            assert_eq!(second, 5, "{failure:?} after {after}: {error:?}");
            spool.close().await.unwrap();
            fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
            let left = bodies(&left_in(&path));
            // What was not accepted may be there all the same, where nobody was left to undo it.
            let accepted = bodies(&[&messages[..first], &messages[5..]].concat());
            assert!(left == accepted || left == bodies(&messages), "{failure:?} after {after}");
        }
    }
}

/// The process that finds out goes on, or another takes its place; then the power is cut.
#[tokio::test]
async fn a_sync_that_failed_costs_nothing_at_the_next_power_cut() {
    let messages = samples::messages(0..60);
    for seed in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let disk = FaultyDisk::new(seed);
        let open = || open(&path, &disk);
        let mut spool = open();
        for batch in messages[..20].chunks(5) {
            assert_eq!(attempt(&mut spool, batch).await.0, 5);
        }
        let on = DiskOperation::Sync;
        disk.fail(DiskFault { on, after: 0, failure: DiskFailure::Io, lasting: false });
        assert_eq!(attempt(&mut spool, &messages[20..40]).await.0, 0);
        if seed % 2 == 0 {
            disk.kill();
            spool.close().await.unwrap();
            spool = open();
        }
        assert_eq!(attempt(&mut spool, &messages[40..]).await.0, 20);
        disk.cut_power();
        spool.close().await.unwrap();
        fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
        let left = bodies(&left_in(&path));
        // What the attempt that failed was to store may be there, where nobody was left to undo it.
        let accepted: Vec<_> = [&messages[..20], &messages[40..]].concat();
        assert!(left == bodies(&accepted) || seed % 2 == 0 && left == bodies(&messages), "{seed}");
    }
}

fn open(path: &std::path::Path, disk: &FaultyDisk) -> Spool {
    let disk = DiskOf::the_process_that_now_lives(disk);
    keep(Config::new(path).on_disk(Arc::clone(&disk) as _))
}
