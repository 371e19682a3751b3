//! Administration from outside: listing slots, removing messages and draining.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Transport as _};
use notify_spool::{Config, Spool, admin};

use crate::support::{
    assert_balanced, bodies, open_spool, pending_in, send_once, start, until, within,
};

/// The listing of a slot in use and of the same slot when it is free agree.
#[tokio::test]
async fn lists_free_slots_and_slots_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert!(admin::slots(&path).is_err());
    let mut spool = open_spool(Config::new(&path));
    let messages = samples::messages(0..7);
    send_once(&mut spool, &messages).await;
    let oldest = messages[0].timestamp().unix_timestamp();
    let listed = || admin::slots(&path).unwrap().remove(0);
    until("the status of the owner", || {
        listed().contents.unwrap().is_some_and(|contents| contents.oldest == Some(oldest))
    })
    .await;
    let in_use = listed();
    assert_eq!(in_use.owner, Some(std::process::id()));
    spool.close().await.unwrap();
    let free = listed();
    assert_eq!(free.owner, None);
    assert_eq!(in_use.contents.unwrap(), free.contents.clone().unwrap());
    let contents = free.contents.unwrap().unwrap();
    assert_eq!((contents.pending.messages, contents.dead.messages), (7, 0));
    assert_eq!(contents.oldest_pending().unwrap().unix_timestamp(), oldest);
    assert_eq!(admin::OpenSlot::open(&path, 3).unwrap_err().kind(), ErrorKind::Invalid);
}

/// `remove` deletes single messages of a chunk; the next run forwards all others.
#[tokio::test]
async fn removes_messages_but_not_their_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = open_spool(Config::new(&path));
    let messages = samples::messages(0..3000);
    send_once(&mut spool, &messages).await;
    spool.close().await.unwrap();
    let mut slot = admin::OpenSlot::open(&path, 0).unwrap();
    let numbers: Vec<_> = slot.pending().map(|stored| stored.unwrap().number).collect();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    assert_eq!(slot.remove([5, 6, 1500, 9999]).unwrap(), 3);
    assert_eq!(slot.remove([5]).unwrap(), 0);
    assert_eq!(slot.contents().pending.messages, 2997);
    drop(slot);
    let mut rest = messages.clone();
    for index in [1500, 6, 5] {
        rest.remove(index);
    }
    assert!(bodies(&pending_in(&path)) == bodies(&rest));
    let script = Script::default();
    let running = start(Config::new(&path), &script);
    until("forwarding of the rest", || script.stored().len() == 2997).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (2997, 2997));
    assert!(bodies(&script.stored()) == bodies(&rest));
}

/// `check` only looks: it changes no file, not even one that the next opening repairs, and it tells the
/// slots in use from the others by the status of their owners.
#[tokio::test]
async fn a_check_only_looks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spools = [open_spool(Config::new(&path)), open_spool(Config::new(&path))];
    for spool in &mut spools {
        assert_eq!(send_once(spool, &samples::messages(0..7)).await.0, 7);
    }
    // A copy of the file of a running process needs a repair, as after a kill.
    let killed = std::fs::read(path.join("slot-1.redb")).unwrap();
    let [mut in_use, mut closed] = spools;
    closed.close().await.unwrap();
    std::fs::write(path.join("slot-1.redb"), killed).unwrap();
    // This process id is out of the range of Linux, so no process has it.
    std::fs::write(path.join("slot-1.lock"), r#"{"pid":2000000000,"contents":null}"#).unwrap();
    until("the status of the owner", || {
        admin::slots(&path).unwrap()[0].contents.clone().unwrap().is_some()
    })
    .await;
    std::fs::write(path.join("slot-1.lock"), r#"{"pid":2000000000,"contents":null}"#).unwrap();
    let before = snapshot(&path);
    let findings = in_use.check().await.unwrap();
    let after = snapshot(&path);
    assert!(before == after, "{:?}", names_of_changes(&before, &after));
    let FindingState::Good(text) = &findings[0].state else { panic!("{findings:?}") };
    assert!(text.contains("2 slots, 1 of them in use") && text.contains("7 messages"), "{text}");
    in_use.close().await.unwrap();
}

/// The names, change times and contents of all files in a directory.
type Snapshot = Vec<(std::ffi::OsString, i64, i64, Vec<u8>)>;

/// Reads all files of a directory.
fn snapshot(path: &std::path::Path) -> Snapshot {
    let mut files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let content = std::fs::read(entry.path()).unwrap();
            (entry.file_name(), metadata.ctime(), metadata.ctime_nsec(), content)
        })
        .collect();
    files.sort();
    files
}

/// Returns the names of the files that differ.
fn names_of_changes(before: &Snapshot, after: &Snapshot) -> Vec<std::ffi::OsString> {
    after.iter().filter(|file| !before.contains(file)).map(|file| file.0.clone()).collect()
}

/// A drain empties all free slots, skips a slot in use, and leaves the messages on the disk when it stops
/// early.
#[tokio::test]
async fn a_drain_forwards_every_free_slot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spools: Vec<_> = (0..3).map(|_| open_spool(Config::new(&path))).collect();
    for (spool, from) in spools.iter_mut().zip([0, 100, 200]) {
        send_once(spool, &samples::messages(from..from + 100)).await;
    }
    let mut in_use = spools.remove(1);
    for mut spool in spools {
        spool.close().await.unwrap();
    }
    let script = Script::default();
    script.add_attempt(ScriptAttempt { actions: vec![ScriptAction::Refuse], end: ScriptEnd::Ok });
    script.add_attempt(ScriptAttempt { actions: vec![], end: ScriptEnd::Transient });
    let drain = |timeout| {
        let (_, forwarder) = Spool::open(Config::new(&path), script.transport()).unwrap();
        forwarder.drain(Box::pin(async move {
            tokio::time::sleep(timeout).await;
            Duration::ZERO
        }))
    };
    let stats = within("the drain", drain(Duration::from_secs(60))).await.unwrap();
    assert_balanced(&stats);
    assert_eq!((stats.delivered, stats.refused, stats.pending.messages), (199, 1, 0));
    in_use.close().await.unwrap();

    script.set_stalled(true);
    let stats = within("the drain", drain(Duration::from_millis(300))).await.unwrap();
    assert_balanced(&stats);
    assert_eq!((stats.delivered, stats.pending.messages), (0, 100));
    assert_eq!(pending_in(&path).len(), 100);
}
