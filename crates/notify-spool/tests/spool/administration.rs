//! Looking into a directory from outside: what is told, and what can be decided.

use std::time::Duration;

use notify_conformance::samples;
use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
use notify_core::{ErrorKind, Transport as _};
use notify_spool::{Config, Spool, admin};

use crate::support::{attempt, balanced, bodies, keep, left_in, start, until, within};

#[tokio::test]
async fn slots_tell_what_is_in_them_whether_or_not_they_are_held() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    assert!(admin::slots(&path).is_err());
    let mut spool = keep(Config::new(&path));
    let messages = samples::messages(0..7);
    attempt(&mut spool, &messages).await;
    let oldest = messages[0].timestamp().unix_timestamp();
    let told = || admin::slots(&path).unwrap().remove(0);
    until("the process to say what it has", || {
        told().contents.unwrap().is_some_and(|contents| contents.oldest == Some(oldest))
    })
    .await;
    let held = told();
    assert_eq!(held.owner, Some(std::process::id()));
    spool.close().await.unwrap();
    let free = told();
    assert_eq!(free.owner, None);
    assert_eq!(held.contents.unwrap(), free.contents.clone().unwrap());
    let contents = free.contents.unwrap().unwrap();
    assert_eq!((contents.pending.messages, contents.dead.messages), (7, 0));
    assert_eq!(contents.oldest_pending().unwrap().unix_timestamp(), oldest);
    assert_eq!(admin::OpenSlot::open(&path, 3).unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn messages_are_removed_for_good_and_their_neighbours_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = keep(Config::new(&path));
    let messages = samples::messages(0..3000);
    attempt(&mut spool, &messages).await;
    spool.close().await.unwrap();
    let mut slot = admin::OpenSlot::open(&path, 0).unwrap();
    let numbers: Vec<_> = slot.pending().map(|entry| entry.unwrap().number).collect();
    assert_eq!(numbers, (0..3000).collect::<Vec<_>>());
    assert_eq!(slot.remove([5, 6, 1500, 9999]).unwrap(), 3);
    assert_eq!(slot.remove([5]).unwrap(), 0);
    assert_eq!(slot.contents().pending.messages, 2997);
    drop(slot);
    let mut left = messages.clone();
    for index in [1500, 6, 5] {
        left.remove(index);
    }
    assert!(bodies(&left_in(&path)) == bodies(&left));
    let script = Script::default();
    let running = start(Config::new(&path), &script);
    until("the rest to be forwarded", || script.stored().len() == 2997).await;
    let stats = running.stop().await;
    assert_eq!((stats.emitted, stats.delivered), (2997, 2997));
    assert!(bodies(&script.stored()) == bodies(&left));
}

#[tokio::test]
async fn a_drain_forwards_what_is_in_every_slot_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spools: Vec<_> = (0..3).map(|_| keep(Config::new(&path))).collect();
    for (spool, from) in spools.iter_mut().zip([0, 100, 200]) {
        attempt(spool, &samples::messages(from..from + 100)).await;
    }
    let mut held = spools.remove(1);
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
    balanced(&stats);
    assert_eq!((stats.delivered, stats.refused, stats.pending.messages), (199, 1, 0));
    held.close().await.unwrap();

    script.set_stalled(true);
    let stats = within("the drain", drain(Duration::from_millis(300))).await.unwrap();
    balanced(&stats);
    assert_eq!((stats.delivered, stats.pending.messages), (0, 100));
    assert_eq!(left_in(&path).len(), 100);
}
