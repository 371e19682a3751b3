//! The faulty disk tested with redb itself: committed data survives every fault.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::BTreeMap;

use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};
use notify_testbed::proptest_cases;
use proptest::prelude::*;
use redb::{Database, Error, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

type Content = BTreeMap<u64, Vec<u8>>;

/// The changes of one transaction: each key with the size of its new value, or `None` to remove it.
type Changes = Vec<(u64, Option<usize>)>;

fn open(disk: &FaultyDisk) -> Result<Database, redb::DatabaseError> {
    Database::builder().set_cache_size(64 * 1024).create_with_backend(disk.backend())
}

fn commit(database: &Database, changes: &Changes) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for (key, size) in changes {
            match size {
                Some(size) => drop(table.insert(key, value(*key, *size).as_slice())?),
                None => drop(table.remove(key)?),
            }
        }
    }
    Ok(transaction.commit()?)
}

fn apply(content: &Content, changes: &Changes) -> Content {
    let mut content = content.clone();
    for (key, size) in changes {
        match size {
            Some(size) => drop(content.insert(*key, value(*key, *size))),
            None => drop(content.remove(key)),
        }
    }
    content
}

fn value(key: u64, size: usize) -> Vec<u8> {
    vec![key.to_le_bytes()[0] ^ size.to_le_bytes()[0]; size]
}

fn read(database: &Database) -> Content {
    let transaction = database.begin_read().unwrap();
    match transaction.open_table(TABLE) {
        Ok(table) => table
            .iter()
            .unwrap()
            .map(|entry| {
                let (key, value) = entry.unwrap();
                (key.value(), value.value().to_vec())
            })
            .collect(),
        Err(redb::TableError::TableDoesNotExist(_)) => Content::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Writes and syncs the whole file again. This also brings bytes to disk that an earlier sync
/// abandoned.
fn rewrite(disk: &FaultyDisk) {
    let backend = disk.backend();
    let mut bytes = vec![0; usize::try_from(backend.len().unwrap()).unwrap()];
    backend.read(0, &mut bytes).unwrap();
    backend.write(0, &bytes).unwrap();
    backend.sync_data().unwrap();
}

fn fault() -> impl Strategy<Value = DiskFault> {
    let on = prop_oneof![
        Just(DiskOperation::Any),
        Just(DiskOperation::Read),
        Just(DiskOperation::Write),
        Just(DiskOperation::SetLength),
        Just(DiskOperation::Sync),
    ];
    let failure = prop_oneof![
        1 => Just(DiskFailure::Io),
        1 => Just(DiskFailure::Full),
        1 => Just(DiskFailure::Kill),
        2 => Just(DiskFailure::PowerCut),
    ];
    (on, 0..60_u64, failure, any::<bool>()).prop_map(|(on, after, failure, lasting)| DiskFault {
        on,
        after,
        failure,
        lasting,
    })
}

fn changes() -> impl Strategy<Value = Changes> {
    prop::collection::vec((0..40_u64, prop::option::of(0..9000_usize)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(128), ..ProptestConfig::default() })]

    /// A commit that returned `Ok` survives. After each fault the process ends, with or without a
    /// power cut, and the next process opens the file. It rewrites the file first if a sync had
    /// failed.
    #[test]
    fn committed_data_survives_every_fault(
        seed in any::<u64>(),
        lives in prop::collection::vec((fault(), prop::collection::vec(changes(), 1..6), any::<bool>()), 1..8),
    ) {
        let disk = FaultyDisk::new(seed);
        // The expected content, and the content if the failed commit has reached the disk after
        // all.
        let (mut content, mut doubtful) = (Content::new(), None);
        let mut sync_failed = false;
        for (fault, transactions, power) in lives {
            if std::mem::take(&mut sync_failed) {
                rewrite(&disk);
            }
            let database = open(&disk).unwrap();
            let found = read(&database);
            prop_assert!(found == content || Some(&found) == doubtful.as_ref());
            content = found;
            doubtful = None;
            disk.fail(fault);
            for changes in &transactions {
                let next = apply(&content, changes);
                if commit(&database, changes).is_err() {
                    doubtful = Some(next);
                    sync_failed = true;
                    break;
                }
                content = next;
            }
            disk.heal();
            if power {
                disk.cut_power();
            } else {
                disk.kill();
            }
            drop(database);
        }
    }
}

/// A full disk returns errors, and the database works again once the disk has room.
#[test]
fn a_full_disk_fails_until_it_has_room() {
    let disk = FaultyDisk::new(0);
    let database = open(&disk).unwrap();
    commit(&database, &vec![(0, Some(100))]).unwrap();
    disk.limit(disk.allocated());
    let large = vec![(1, Some(4_000_000))];
    commit(&database, &large).unwrap_err();
    drop(database);
    disk.heal();
    let database = open(&disk).unwrap();
    assert_eq!(read(&database), apply(&Content::new(), &vec![(0, Some(100))]));
    commit(&database, &large).unwrap();
}

/// The disk is as unreliable as a real one: some power cuts lose a part of the unsynced bytes.
#[test]
fn some_power_cuts_tear_unsynced_bytes() {
    let lost = (0..100).any(|seed| {
        let disk = FaultyDisk::new(seed);
        disk.backend().set_len(8192).unwrap();
        disk.backend().sync_data().unwrap();
        disk.backend().write(0, &[1; 8192]).unwrap();
        let dead = disk.backend();
        disk.cut_power();
        assert!(dead.sync_data().is_err());
        let mut data = [0; 8192];
        disk.backend().read(0, &mut data).unwrap();
        data.contains(&0) && data.contains(&1)
    });
    assert!(lost);
}

/// The reason for `rewrite` above. After a failed sync, the system marks the pages in its cache as
/// clean. redb opens a file that looks whole, builds on it, and the next power cut takes those
/// pages away.
#[test]
fn a_failed_sync_can_still_lose_a_file_that_opens() {
    let losses = |rewritten: bool| {
        (0..200)
            .filter(|&seed| {
                let disk = FaultyDisk::new(seed);
                let database = open(&disk).unwrap();
                for key in 0..3 {
                    commit(&database, &vec![(key, Some(4000))]).unwrap();
                }
                let on = DiskOperation::Sync;
                disk.fail(DiskFault { on, after: 0, failure: DiskFailure::Io, lasting: false });
                commit(&database, &vec![(3, Some(4000)), (0, None)]).unwrap_err();
                drop(database);
                if rewritten {
                    rewrite(&disk);
                }
                let database = open(&disk).unwrap();
                commit(&database, &vec![(4, Some(4000))]).unwrap();
                disk.cut_power();
                drop(database);
                open(&disk).is_err()
            })
            .count()
    };
    assert_ne!(losses(false), 0);
    assert_eq!(losses(true), 0);
}

/// A hang lasts until the disk heals or the process ends; the operation then goes on, or fails.
#[test]
fn a_hang_ends_when_the_disk_heals_or_the_process_ends() {
    for ends in [false, true] {
        let disk = FaultyDisk::new(1);
        let backend = disk.backend();
        let on = DiskOperation::Sync;
        disk.fail(DiskFault { on, after: 0, failure: DiskFailure::Hang, lasting: false });
        backend.write(0, b"x").unwrap();
        let synced = std::thread::spawn(move || backend.sync_data());
        while !disk.hangs() {
            std::thread::yield_now();
        }
        if ends {
            disk.kill();
        } else {
            disk.heal();
        }
        assert_eq!(synced.join().unwrap().is_err(), ends);
        assert!(!disk.hangs());
    }
}

/// Files have contents of their own, and one power cut hits all of them.
#[test]
fn files_are_independent() {
    let disk = FaultyDisk::new(1);
    disk.backend_of(3).write(0, b"three").unwrap();
    disk.backend_of(3).sync_data().unwrap();
    disk.backend().write(0, b"zero").unwrap();
    assert_eq!((disk.content(), disk.content_of(3)), (b"zero".to_vec(), b"three".to_vec()));
    disk.rename(3, 4);
    disk.damage(4, 0);
    disk.cut_power();
    assert_eq!(disk.content_of(3), b"");
    assert_eq!(disk.content_of(4)[1..], *b"hree");
    assert_ne!(disk.content_of(4)[0], b't');
}
