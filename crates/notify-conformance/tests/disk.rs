//! What the failing disk is for, shown on redb itself: what was committed outlives every fault.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail as it likes")]

use std::collections::BTreeMap;

use notify_conformance::disk::{Disk, Failure, Fault, Operation};
use proptest::prelude::*;
use redb::{Database, Error, ReadableDatabase, ReadableTable, TableDefinition};

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

type Content = BTreeMap<u64, Vec<u8>>;

/// What one transaction writes: a key, and the size of what is under it, none to remove it.
type Changes = Vec<(u64, Option<usize>)>;

fn open(disk: &Disk) -> Result<Database, redb::DatabaseError> {
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

fn fault() -> impl Strategy<Value = Fault> {
    let on = prop_oneof![
        Just(Operation::Any),
        Just(Operation::Read),
        Just(Operation::Write),
        Just(Operation::SetLength),
        Just(Operation::Sync),
    ];
    let failure = prop_oneof![
        1 => Just(Failure::Io),
        1 => Just(Failure::Full),
        1 => Just(Failure::Kill),
        2 => Just(Failure::PowerCut),
    ];
    (on, 0..60_u64, failure, any::<bool>())
        .prop_map(|(on, after, failure, lasting)| Fault { on, after, failure, lasting })
}

fn changes() -> impl Strategy<Value = Changes> {
    prop::collection::vec((0..40_u64, prop::option::of(0..9000_usize)), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// After each fault the process ends, by a power cut or not, and the next one opens the file.
    #[test]
    fn what_was_committed_outlives_every_fault(
        seed in any::<u64>(),
        lives in prop::collection::vec((fault(), prop::collection::vec(changes(), 1..6), any::<bool>()), 1..8),
    ) {
        let disk = Disk::new(seed);
        // What the file holds, or what it holds if a commit that reported a failure came through.
        let (mut content, mut doubtful) = (Content::new(), None);
        for (fault, transactions, power) in lives {
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
    let disk = Disk::new(0);
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
    use redb::StorageBackend;
    let lost = (0..100).any(|seed| {
        let disk = Disk::new(seed);
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
