//! The size of a slot's file: it shrinks when messages leave, and a large file opens quickly.

use std::fs;
use std::time::Instant;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::Transport as _;
use notify_spool::Config;

use crate::support::{open_spool, send_once, start, until};

/// An empty slot returns its room to the file system without a restart.
#[tokio::test]
async fn an_empty_spool_shrinks_its_file_while_it_runs() {
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
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    until("a smaller file", || size() < 1024 * 1024).await;
    println!("{full} bytes became {}", size());
    running.store(&messages[..10]).await;
    until("forwarding after the file shrank", || script.stored().len() == 20_010).await;
    running.stop().await;
    assert_eq!(size(), 0);
}

/// A large file with few messages becomes smaller too, and keeps those messages.
#[tokio::test]
async fn a_sparse_spool_shrinks_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let size = || fs::metadata(path.join("slot-0.redb")).unwrap().len();
    let mut spool = open_spool(Config::new(&path));
    let messages = samples::messages(0..70_000);
    for batch in messages.chunks(1000) {
        assert_eq!(send_once(&mut spool, batch).await.0, 1000);
    }
    spool.close().await.unwrap();
    let full = size();
    let mut slot = notify_spool::admin::OpenSlot::open(&path, 0).unwrap();
    // All messages except a few, which are spread over the file.
    assert_eq!(slot.remove((0..70_000).filter(|number| number % 10_000 != 0)).unwrap(), 69_993);
    drop(slot);
    let mut spool = open_spool(Config::new(&path));
    assert_eq!(send_once(&mut spool, &messages[..1]).await.0, 1);
    until("a smaller file", || size() < full / 4).await;
    println!("{full} bytes became {}", size());
    assert_eq!(send_once(&mut spool, &messages[..1]).await.0, 1);
    spool.close().await.unwrap();
    assert_eq!(crate::support::pending_in(&path).len(), 9);
}

/// A spool with 100 000 messages opens after a clean end and after a kill. The test prints the times.
#[tokio::test]
async fn reopens_a_large_spool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = open_spool(Config::new(&path));
    let messages = samples::messages(0..100_000);
    for batch in messages.chunks(1000) {
        assert_eq!(send_once(&mut spool, batch).await.0, 1000);
    }
    let file = path.join("slot-0.redb");
    let killed = fs::read(&file).unwrap();
    spool.close().await.unwrap();
    for (how, content) in [("a clean end", None), ("a kill", Some(killed))] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let mut spool = open_spool(Config::new(&path));
        let start = Instant::now();
        assert_eq!(send_once(&mut spool, &messages[..1]).await.0, 1);
        println!("opening 100 000 messages after {how} takes {} ms", start.elapsed().as_millis());
        spool.close().await.unwrap();
    }
    assert_eq!(crate::support::pending_in(&path).len(), 100_001);
}
