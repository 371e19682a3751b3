//! An undisturbed file: opened by the first batch, appended to line by line, and rejected if it is
//! not a regular file.

use std::fs;
use std::future::Future as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Waker};

use notify_core::config::DriverOptions;
use notify_core::transport::{FindingState, Settlements};
use notify_core::{Batch, ErrorKind, Outcome, Transport as _};
use notify_log::{Config, DRIVER, FileConfig, Log};
use serde_json::json;

use crate::support::{attempt, content, deliver, log, messages, text};

/// A configured but unused transport leaves no trace on the disk.
#[tokio::test]
async fn opens_nothing_before_the_first_batch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let table = json!({"file": path, "sync": true}).as_object().unwrap().clone();
    let mut log = (DRIVER.open)(DriverOptions::new("log", table)).unwrap();
    assert_eq!(log.name(), "log");
    deliver(&mut *log, &[]).await;
    assert!(!path.exists());

    let messages = messages(1, 0..3);
    deliver(&mut *log, &messages).await;
    assert_eq!(content(&path), text(&messages));
    log.close().await.unwrap();
}

/// Other users cannot read the notifications in a new file.
#[tokio::test]
async fn a_new_file_is_private_to_owner_and_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    deliver(&mut log(&path), &messages(1, 0..1)).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777 & !0o640, 0);
}

/// A restart of the service keeps the lines that are in the file.
#[tokio::test]
async fn appends_to_an_existing_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    fs::write(&path, "before\n").unwrap();
    let messages = messages(1, 0..2);
    deliver(&mut Log::new(Config::File(FileConfig::new(&path))), &messages).await;
    assert_eq!(content(&path), format!("before\n{}", text(&messages)));
}

/// A partial line of another writer spoils none of ours: it gets its newline first, at the first
/// write and at every later one.
#[tokio::test]
async fn starts_a_new_line_after_a_partial_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    fs::write(&path, "{\"message_id\":\"6b9d").unwrap();
    let mut log = log(&path);
    let messages = messages(1, 0..4);
    deliver(&mut log, &messages[..2]).await;
    let first = format!("{{\"message_id\":\"6b9d\n{}", text(&messages[..2]));
    assert_eq!(content(&path), first);

    fs::write(&path, first.clone() + "cut again").unwrap();
    deliver(&mut log, &messages[2..]).await;
    assert_eq!(content(&path), format!("{first}cut again\n{}", text(&messages[2..])));
}

/// Each kind of unusable path gives a permanent error that tells what to change, both from `send`
/// and from `check`. None of them blocks.
#[tokio::test]
async fn rejects_paths_that_are_not_regular_files() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let parent = dir.path().join("missing");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();

    for (path, expected) in [
        (dir.path().to_owned(), "is a directory: name a file in it"),
        (fifo, "set `log.target = \"stdout\"`"),
        (socket, "set `log.target = \"stdout\"`"),
        (Path::new("/dev/null").into(), "set `log.target = \"stdout\"`"),
        (parent.join("n.log"), &*format!("needs the directory {}", parent.display())),
        (file.join("n.log"), "cannot be opened"),
        (dir.path().join("n".repeat(300)), "cannot be opened"),
        (dir.path().join("a\0b"), "cannot be opened"),
    ] {
        let mut log = log(&path);
        let error = attempt(&mut log, &messages(1, 0..1)).await.error();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(error.to_string().starts_with("`log.file`: "), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        let findings = log.check().await.unwrap();
        assert!(matches!(findings[0].state, FindingState::Bad(_)), "{path:?}: {findings:?}");
    }
}

/// Cancel safety: after a dropped `send`, the next one delivers, and the lines stay in order.
#[tokio::test]
async fn a_dropped_send_leaves_the_log_usable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..6);
    deliver(&mut log, &messages[..2]).await;

    // A lock that another process holds delays the writer as a slow disk does.
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    {
        let mut sink = |_: Settlements<'_>| panic!("settled a batch that is not written");
        let mut batch = Batch::new(&messages[2..4], &mut sink);
        let send = pin!(log.send(&mut batch));
        assert!(send.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    other.unlock().unwrap();
    deliver(&mut log, &messages[4..]).await;
    assert_eq!(content(&path), text(&messages), "the batch of the dropped send is written too");
}

/// `close` waits until the file is closed; a drop closes it soon after.
#[tokio::test]
async fn close_and_drop_release_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut closed = log(&path);
    deliver(&mut closed, &messages(1, 0..1)).await;
    assert_eq!(open_files(&path), 1);
    closed.close().await.unwrap();
    assert_eq!(open_files(&path), 0);

    let mut dropped = log(&path);
    deliver(&mut dropped, &messages(1, 1..2)).await;
    assert_eq!(open_files(&path), 1);
    drop(dropped);
    for _ in 0..1000 {
        if open_files(&path) == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(open_files(&path), 0);
    assert_eq!(content(&path), text(&messages(1, 0..2)));
}

/// Returns the number of descriptors of this process that have `path` open.
fn open_files(path: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|fd| fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|target| target == path))
        .count()
}

/// `glance-notify check` describes a missing and an existing file, and neither creates nor changes
/// one.
#[tokio::test]
async fn check_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = Log::new(Config::File(FileConfig::new(&path)));
    let [file, sync] = &log.check().await.unwrap()[..] else { panic!("expected two findings") };
    assert!(matches!(&file.state, FindingState::Good(text) if text.contains("does not exist yet")));
    assert!(matches!(sync.state, FindingState::Good(_)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    fs::write(&path, "12345").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut log = crate::support::log(&path);
    let [file, sync] = &log.check().await.unwrap()[..] else { panic!("expected two findings") };
    let FindingState::Good(text) = &file.state else { panic!("{file:?}") };
    assert!(text.ends_with("n.log: 5 bytes, mode 0600"), "{text}");
    assert!(matches!(&sync.state, FindingState::Warning(cost) if cost.contains("power cut")));
    assert_eq!(content(&path), "12345");
}
