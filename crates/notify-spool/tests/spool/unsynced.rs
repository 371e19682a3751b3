//! After a sync failed: what it was to bring to the disk is brought there before the spool goes on.

use std::fs;
use std::sync::Arc;

use notify_conformance::disk::{Disk, Failure, Fault, Operation};
use notify_conformance::samples;
use notify_core::Transport as _;
use notify_spool::{Config, Spool};

use crate::model::world::DiskOf;
use crate::support::{attempt, bodies, keep, left_in};

/// The process that finds out goes on, or another takes its place; then the power is cut.
#[tokio::test]
async fn a_sync_that_failed_costs_nothing_at_the_next_power_cut() {
    let messages = samples::messages(0..60);
    for seed in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let disk = Disk::new(seed);
        let open = || open(&path, &disk);
        let mut spool = open();
        for batch in messages[..20].chunks(5) {
            assert_eq!(attempt(&mut spool, batch).await.0, 5);
        }
        let on = Operation::Sync;
        disk.fail(Fault { on, after: 0, failure: Failure::Io, lasting: false });
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

fn open(path: &std::path::Path, disk: &Disk) -> Spool {
    let disk = DiskOf::the_process_that_now_lives(disk);
    keep(Config::new(path).on_disk(Arc::clone(&disk) as _))
}
