//! The file is renamed, deleted, replaced: the next line is where the path says.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use notify_core::{ErrorKind, Outcome};
use notify_log::{Config, FileConfig, Log};

use crate::support::{Seen, attempt, content, deliver, log, messages, text, whole_lines};

#[tokio::test]
async fn renamed_and_created_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("n.log"), dir.path().join("n.log.1"));
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::rename(&path, &old).unwrap();
    fs::write(&path, "").unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&old), text(&messages[..2]));
    assert_eq!(content(&path), text(&messages[2..]));
}

#[tokio::test]
async fn renamed_and_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("n.log"), dir.path().join("n.log.1"));
    let mut log = Log::new(Config::File(FileConfig::new(&path)));
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::rename(&path, &old).unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&old), text(&messages[..2]));
    assert_eq!(content(&path), text(&messages[2..]));
}

/// What an operator chose is told once, not once a day.
#[tokio::test]
async fn that_nothing_is_synced_is_told_once_however_often_it_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let seen = Seen::of("notify_log::reopen");
    let _subscribed = tracing::subscriber::set_default(seen.clone());
    let mut log = log(&path);
    for message in messages(1, 0..3) {
        deliver(&mut log, &[message]).await;
        fs::remove_file(&path).unwrap();
    }
    let events = seen.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].1.starts_with("log.sync is off"), "{events:?}");
}

#[tokio::test]
async fn deleted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::remove_file(&path).unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), text(&messages[2..]));
}

#[tokio::test]
async fn truncated_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::write(&path, "").unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), text(&messages[2..]), "no hole and no empty line before it");
}

#[tokio::test]
async fn a_directory_that_is_gone_is_named_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let path = logs.join("n.log");
    fs::create_dir(&logs).unwrap();
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::remove_dir_all(&logs).unwrap();
    let error = attempt(&mut log, &messages[2..]).await.error();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Config, Outcome::NotSent));
    assert!(error.to_string().contains(&*logs.to_string_lossy()), "{error}");
    fs::create_dir(&logs).unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), text(&messages[2..]));
}

#[tokio::test]
async fn a_symbolic_link_that_is_swapped_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let (monday, tuesday) = (dir.path().join("monday"), dir.path().join("tuesday"));
    symlink(&monday, &path).unwrap();
    let mut log = Log::new(Config::File(FileConfig::new(&path)));
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    let next = dir.path().join("next");
    symlink(&tuesday, &next).unwrap();
    fs::rename(&next, &path).unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&monday), text(&messages[..2]));
    assert_eq!(content(&tuesday), text(&messages[2..]));
}

/// The file is taken away at any moment of a write, read at once and deleted, as a rotation that
/// compresses does. Nothing that was accepted may be missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_taken_away_while_it_is_written_loses_nothing() {
    const ROTATIONS: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("n.log"), dir.path().join("n.log.1"));
    let done = AtomicBool::new(false);
    let mut found: Vec<u8> = Vec::new();
    let mut sent = 0;
    std::thread::scope(|threads| {
        let rotating = threads.spawn(|| {
            let mut found = Vec::new();
            for _ in 0..ROTATIONS {
                while fs::rename(&path, &old).is_err() {
                    std::thread::yield_now();
                }
                found.extend(fs::read(&old).unwrap());
                fs::remove_file(&old).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            found
        });
        let runtime = tokio::runtime::Handle::current();
        let mut log = log(&path);
        tokio::task::block_in_place(|| {
            while !done.load(Ordering::Relaxed) {
                let batch = messages(1, sent..sent + 50);
                let attempt = runtime.block_on(attempt(&mut log, &batch));
                match attempt.result {
                    Ok(()) => sent += 50,
                    // Replaced too often during one attempt: to be sent again.
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        });
        found.extend(rotating.join().unwrap());
    });
    found.extend(fs::read(&path).unwrap_or_default());
    let numbers: BTreeSet<u32> = whole_lines(&found).map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..sent).collect());
}
