//! A file in peace: lazily opened, appended to line by line, refused where it is none.

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

#[tokio::test]
async fn nothing_is_touched_before_the_first_batch() {
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

#[tokio::test]
async fn a_new_file_is_for_owner_and_group() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    deliver(&mut log(&path), &messages(1, 0..1)).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777 & !0o640, 0);
}

#[tokio::test]
async fn an_existing_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    fs::write(&path, "before\n").unwrap();
    let messages = messages(1, 0..2);
    deliver(&mut Log::new(Config::File(FileConfig::new(&path))), &messages).await;
    assert_eq!(content(&path), format!("before\n{}", text(&messages)));
}

#[tokio::test]
async fn a_line_that_somebody_cut_is_not_continued() {
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

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let parent = dir.path().join("missing");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();

    for (path, named) in [
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
        assert!(error.to_string().contains(named), "{error}");
        let findings = log.check().await.unwrap();
        assert!(matches!(findings[0].state, FindingState::Bad(_)), "{path:?}: {findings:?}");
    }
}

#[tokio::test]
async fn a_dropped_send_leaves_the_log_usable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = log(&path);
    let messages = messages(1, 0..6);
    deliver(&mut log, &messages[..2]).await;

    // Another process that holds the lock is as good as a slow disk.
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    {
        let mut sink = |_: Settlements<'_>| panic!("nothing can be settled yet");
        let mut batch = Batch::new(&messages[2..4], &mut sink);
        let send = pin!(log.send(&mut batch));
        assert!(send.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    other.unlock().unwrap();
    deliver(&mut log, &messages[4..]).await;
    assert_eq!(content(&path), text(&messages), "also what nobody waited for was written");
}

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

/// How often this process has `path` open.
fn open_files(path: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    open.filter(|fd| fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|target| target == path))
        .count()
}

#[tokio::test]
async fn check_looks_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut log = Log::new(Config::File(FileConfig::new(&path)));
    let [file, sync] = &log.check().await.unwrap()[..] else { panic!("two findings") };
    assert!(matches!(&file.state, FindingState::Good(seen) if seen.contains("does not exist yet")));
    assert!(matches!(sync.state, FindingState::Good(_)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    fs::write(&path, "12345").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut log = crate::support::log(&path);
    let [file, sync] = &log.check().await.unwrap()[..] else { panic!("two findings") };
    let FindingState::Good(seen) = &file.state else { panic!("{file:?}") };
    assert!(seen.ends_with("n.log: 5 bytes, mode 0600"), "{seen}");
    assert!(matches!(&sync.state, FindingState::Warning(cost) if cost.contains("power cut")));
    assert_eq!(content(&path), "12345");
}
