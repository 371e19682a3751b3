//! Power cuts: at every operation of a new spool, after a failed sync, and between the creation of a
//! file and the sync of its name.
//!
//! The simulated disk loses or tears a random part of the writes that no sync has brought to it.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use notify_conformance::samples;
use notify_core::{Outcome, Transport as _};
use notify_spool::disk::{SlotStorage, SpoolDisk};
use notify_spool::{Config, Spool};
use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};

use crate::model::environment::ProcessDisk;
use crate::support::{bodies, open_spool, pending_in, send_once};

/// Accepted messages survive, and the spool continues, also after a cut during the creation of the
/// database and after a disk that failed there.
#[tokio::test]
async fn accepted_messages_survive_a_power_cut_at_any_operation() {
    let messages = samples::messages(0..10);
    for failure in [DiskFailure::PowerCut, DiskFailure::Kill, DiskFailure::Io, DiskFailure::Full] {
        for after in 0..80 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s");
            let disk = FaultyDisk::new(after);
            let mut spool = open(&path, &disk);
            disk.fail(DiskFault { on: DiskOperation::Any, after, failure, lasting: true });
            let (first, _) = send_once(&mut spool, &messages[..5]).await;
            disk.cut_power();
            spool.close().await.unwrap();
            disk.heal();
            let mut spool = open(&path, &disk);
            let (second, error) = send_once(&mut spool, &messages[5..]).await;
            assert_eq!(second, 5, "{failure:?} after {after}: {error:?}");
            spool.close().await.unwrap();
            fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
            let found = bodies(&pending_in(&path));
            // Messages that the spool did not accept may be there too: the cut came before it could
            // remove them.
            let accepted = bodies(&[&messages[..first], &messages[5..]].concat());
            assert!(found == accepted || found == bodies(&messages), "{failure:?} after {after}");
        }
    }
}

/// After a failed sync, the same process or its successor rewrites the file, so that a later power cut
/// loses no accepted message.
#[tokio::test]
async fn a_failed_sync_loses_nothing_at_the_next_power_cut() {
    let messages = samples::messages(0..60);
    for seed in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let disk = FaultyDisk::new(seed);
        let open = || open(&path, &disk);
        let mut spool = open();
        for batch in messages[..20].chunks(5) {
            assert_eq!(send_once(&mut spool, batch).await.0, 5);
        }
        let on = DiskOperation::Sync;
        disk.fail(DiskFault { on, after: 0, failure: DiskFailure::Io, lasting: false });
        assert_eq!(send_once(&mut spool, &messages[20..40]).await.0, 0);
        if seed % 2 == 0 {
            disk.kill();
            spool.close().await.unwrap();
            spool = open();
        }
        assert_eq!(send_once(&mut spool, &messages[40..]).await.0, 20);
        disk.cut_power();
        spool.close().await.unwrap();
        fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
        let found = bodies(&pending_in(&path));
        // The batch of the failed sync may be there too: a killed process could not remove it.
        let accepted: Vec<_> = [&messages[..20], &messages[40..]].concat();
        assert!(
            found == bodies(&accepted) || seed % 2 == 0 && found == bodies(&messages),
            "{seed}"
        );
    }
}

/// A power cut while the file is rewritten after a failed sync loses nothing either, also if the file had
/// just grown.
#[tokio::test]
async fn a_power_cut_while_the_file_is_rewritten_loses_nothing() {
    let messages = samples::messages(0..260);
    let mut cuts = 0;
    for seed in 0..120 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let disk = FaultyDisk::new(seed);
        let mut spool = open(&path, &disk);
        for batch in messages[..20].chunks(5) {
            assert_eq!(send_once(&mut spool, batch).await.0, 5);
        }
        // The first sync of a large batch is that of the file's new length.
        let (on, after) = (DiskOperation::Sync, seed % 2);
        disk.fail(DiskFault { on, after, failure: DiskFailure::Io, lasting: false });
        assert_eq!(send_once(&mut spool, &messages[20..250]).await.0, 0);
        let (on, after) = (DiskOperation::Write, seed % 3);
        disk.fail(DiskFault { on, after, failure: DiskFailure::PowerCut, lasting: false });
        let before = disk.ended_processes();
        let (accepted, _) = send_once(&mut spool, &messages[250..255]).await;
        cuts += disk.ended_processes() - before;
        disk.heal();
        spool.close().await.unwrap();
        let mut spool = open(&path, &disk);
        assert_eq!(send_once(&mut spool, &messages[255..]).await.0, 5, "{seed}");
        spool.close().await.unwrap();
        fs::write(path.join("slot-0.redb"), disk.content()).unwrap();
        let found = bodies(&pending_in(&path));
        let expected = [&messages[..20], &messages[250..250 + accepted], &messages[255..]];
        let expected = bodies(&expected.concat());
        assert!(expected.iter().all(|body| found.contains(body)), "{seed} lost messages");
    }
    assert!(cuts > 60, "{cuts}");
}

/// A process that finds a directory and files of another one syncs their names before it accepts
/// anything: the other may have ended before its own sync.
#[tokio::test]
async fn names_that_another_process_left_are_synced_before_the_first_acceptance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    for file in ["slot-0.lock", "slot-0.redb"] {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(path.join(file)).unwrap();
    }
    let disk = Arc::new(NameDisk::default());
    let mut spool = open_spool(Config::new(&path).on_disk(Arc::clone(&disk) as _));
    let messages = samples::messages(0..10);
    disk.fails.store(true, Ordering::Relaxed);
    let (accepted, error) = send_once(&mut spool, &messages[..5]).await;
    let error = error.expect("the names are not durable");
    assert_eq!((accepted, error.outcome()), (0, Outcome::NotSent), "{error:#}");
    assert!(error.is_transient() && error.to_string().contains("cannot be synced"), "{error}");
    disk.fails.store(false, Ordering::Relaxed);
    assert_eq!(send_once(&mut spool, &messages[..5]).await.0, 5);
    let synced = disk.synced.lock().unwrap().clone();
    assert!(synced.contains(&inode(&path)), "the names of the files");
    assert!(synced.contains(&inode(dir.path())), "the name of the directory");
    assert_eq!(send_once(&mut spool, &messages[5..]).await.0, 5);
    assert_eq!(disk.synced.lock().unwrap().len(), synced.len(), "once is enough");
    spool.close().await.unwrap();
}

/// A real disk that records the directories whose names it syncs, and can fail to sync them.
#[derive(Debug, Default)]
struct NameDisk {
    fails: AtomicBool,
    /// The inodes of the directories.
    synced: Mutex<Vec<u64>>,
}

impl SpoolDisk for NameDisk {
    fn open(&self, _: u32, file: fs::File) -> io::Result<Arc<dyn SlotStorage>> {
        Ok(Arc::new(file))
    }

    fn sync_directory(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the directory cannot be synced"));
        }
        self.synced.lock().unwrap().push(rustix::fs::fstat(directory)?.st_ino);
        Ok(rustix::fs::fsync(directory)?)
    }
}

/// Returns the inode of a directory.
fn inode(path: &std::path::Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Opens a spool on `disk`, as the process that runs now.
fn open(path: &std::path::Path, disk: &FaultyDisk) -> Spool {
    let disk = ProcessDisk::of_current_process(disk);
    open_spool(Config::new(path).on_disk(Arc::clone(&disk) as _))
}
