//! What the failing disk is for, shown on redb itself: what was committed outlives every fault.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail as it likes")]

use std::collections::BTreeMap;

use notify_testbed::disk::{DiskFailure, DiskFault, DiskOperation, FaultyDisk};
use notify_testbed::proptest_cases;
use proptest::prelude::*;
use redb::{Database, Error, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

type Content = BTreeMap<u64, Vec<u8>>;

/// What one transaction writes: a key, and the size of what is under it, none to remove it.
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

/// Brings the whole file to disk, also what an earlier sync failed to bring there.
fn write_anew(disk: &FaultyDisk) {
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

    /// After each fault the process ends, by a power cut or not, and the next one opens the file, which
    /// is written anew if a sync had failed.
    #[test]
    fn what_was_committed_outlives_every_fault(
        seed in any::<u64>(),
        lives in prop::collection::vec((fault(), prop::collection::vec(changes(), 1..6), any::<bool>()), 1..8),
    ) {
        let disk = FaultyDisk::new(seed);
        // What the file holds, or what it holds if a commit that reported a failure came through.
        let (mut content, mut doubtful) = (Content::new(), None);
        let mut sync_failed = false;
        for (fault, transactions, power) in lives {
            if std::mem::take(&mut sync_failed) {
                write_anew(&disk);
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

/// A disk that is full refuses, and what is freed can be used.
#[test]
fn a_full_disk_refuses_until_there_is_room() {
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

/// The disk is no better than a real one: what was not synced can be lost.
#[test]
fn what_was_not_synced_is_lost_by_some_power_cut() {
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

/// Why the file is written anew above: the system takes for written what it failed to write, so that
/// redb finds a whole file when it opens it again, builds on it, and the next power cut takes it away.
#[test]
fn after_a_sync_that_failed_a_file_that_opens_can_still_be_lost() {
    let lost = |anew: bool| {
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
                if anew {
                    write_anew(&disk);
                }
                let database = open(&disk).unwrap();
                commit(&database, &vec![(4, Some(4000))]).unwrap();
                disk.cut_power();
                drop(database);
                open(&disk).is_err()
            })
            .count()
    };
    assert_ne!(lost(false), 0);
    assert_eq!(lost(true), 0);
}
