//! Rotations: after another program renames, deletes or replaces the file, the next line goes to the
//! file that the path names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use notify_core::{ErrorKind, Outcome};
use notify_log::{Config, FileConfig, Log};

use crate::support::{
    EventRecorder, attempt, complete_lines, content, deliver, log, messages, text,
};

/// `logrotate` with `create`: the next line goes to the new file.
#[tokio::test]
async fn follows_a_rename_with_a_new_file() {
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

/// `logrotate` with `nocreate`: the transport creates the new file.
#[tokio::test]
async fn creates_the_file_after_a_rename() {
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

/// The warning about `log.sync = false` appears once per transport, not once per rotation.
#[tokio::test]
async fn warns_once_that_sync_is_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let recorder = EventRecorder::new("notify_log::log_file");
    let _subscribed = tracing::subscriber::set_default(recorder.clone());
    let mut log = log(&path);
    for message in messages(1, 0..3) {
        deliver(&mut log, &[message]).await;
        fs::remove_file(&path).unwrap();
    }
    let events = recorder.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].1.starts_with("`log.sync` is off"), "{events:?}");
}

/// A deleted file comes back with the next line.
#[tokio::test]
async fn creates_a_deleted_file_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::remove_file(&path).unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), text(&messages[2..]));
}

/// A truncated file continues at offset 0, as with `copytruncate`.
#[tokio::test]
async fn continues_at_the_start_of_a_truncated_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    fs::write(&path, "").unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), text(&messages[2..]), "no hole and no empty line comes first");
}

/// A missing directory is an error that names the directory. The transport recovers when it is back.
#[tokio::test]
async fn names_a_missing_directory_until_it_is_back() {
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

/// A link that an operator points to another file every day works like a rename.
#[tokio::test]
async fn follows_a_swapped_symbolic_link() {
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

/// Another thread moves the file at any moment of a write, reads it at once and deletes it, as a
/// rotation with compression does. It finds every accepted line.
///
/// The read may come in the middle of a write and then ends in a part of a line. The transport writes
/// that line again, to the next file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_during_a_write_loses_nothing() {
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
                let mut content = fs::read(&old).unwrap();
                content
                    .truncate(content.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1));
                found.extend(content);
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
                    // Another rotation followed too soon for one attempt. Send the batch again.
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        });
        found.extend(rotating.join().unwrap());
    });
    found.extend(fs::read(&path).unwrap_or_default());
    let numbers: BTreeSet<u32> = complete_lines(&found).map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..sent).collect());
}
