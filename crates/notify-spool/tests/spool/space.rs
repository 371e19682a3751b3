//! Room is given back to the file system, and a large spool is open again at once.

use std::fs;
use std::time::Instant;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::Transport as _;
use notify_spool::Config;

use crate::support::{attempt, keep, start, until};

#[tokio::test]
async fn an_emptied_spool_gives_its_room_back_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let size = || fs::metadata(path.join("slot-0.redb")).unwrap().len();
    let script = Script::default();
    script.set_stalled(true);
    let running = start(Config::new(&path), &script);
    let messages = samples::messages(0..20_000);
    for batch in messages.chunks(1000) {
        running.store(batch).await;
    }
    let full = size();
    assert!(full > 5 * 1024 * 1024, "{full}");
    script.set_stalled(false);
    until("everything to be forwarded", || running.forwarded().pending.messages == 0).await;
    until("room to be given back", || size() < 1024 * 1024).await;
    println!("{full} bytes became {}", size());
    running.store(&messages[..10]).await;
    until("it to go on", || script.stored().len() == 20_010).await;
    running.stop().await;
    assert_eq!(size(), 0);
}

/// A spool that was full and has little left in it is made smaller too.
#[tokio::test]
async fn a_spool_with_little_left_in_it_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let size = || fs::metadata(path.join("slot-0.redb")).unwrap().len();
    let mut spool = keep(Config::new(&path));
    let messages = samples::messages(0..70_000);
    for batch in messages.chunks(1000) {
        assert_eq!(attempt(&mut spool, batch).await.0, 1000);
    }
    spool.close().await.unwrap();
    let full = size();
    let mut slot = notify_spool::admin::OpenSlot::open(&path, 0).unwrap();
    // All but a few from all over it.
    assert_eq!(slot.remove((0..70_000).filter(|number| number % 10_000 != 0)).unwrap(), 69_993);
    drop(slot);
    let mut spool = keep(Config::new(&path));
    assert_eq!(attempt(&mut spool, &messages[..1]).await.0, 1);
    until("room to be given back", || size() < full / 4).await;
    println!("{full} bytes became {}", size());
    assert_eq!(attempt(&mut spool, &messages[..1]).await.0, 1);
    spool.close().await.unwrap();
    assert_eq!(crate::support::left_in(&path).len(), 9);
}

#[tokio::test]
async fn a_large_spool_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = keep(Config::new(&path));
    let messages = samples::messages(0..100_000);
    for batch in messages.chunks(1000) {
        assert_eq!(attempt(&mut spool, batch).await.0, 1000);
    }
    let file = path.join("slot-0.redb");
    let killed = fs::read(&file).unwrap();
    spool.close().await.unwrap();
    for (how, content) in [("a clean end", None), ("a kill", Some(killed))] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let mut spool = keep(Config::new(&path));
        let start = Instant::now();
        assert_eq!(attempt(&mut spool, &messages[..1]).await.0, 1);
        println!("100 000 messages are open again {} ms after {how}", start.elapsed().as_millis());
        spool.close().await.unwrap();
    }
    assert_eq!(crate::support::left_in(&path).len(), 100_001);
}
