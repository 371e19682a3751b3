//! The table `[spool]`: a durable queue in front of the configured strategy.

#![cfg(all(feature = "spool", feature = "log", feature = "noop"))]
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::event::DeletedImage;
use glance_notify::time::OffsetDateTime;
use glance_notify::transport::spool::admin;
use glance_notify::uuid::Uuid;
use glance_notify::{Config, ErrorKind, Event, Payload};

/// Returns a configuration with a spool in `dir/s`, a log file `dir/n.log`, and `settings`.
fn config(dir: &Path, settings: &[&str]) -> Config {
    let spool = format!("spool.dir={}", dir.join("s").display());
    let file = format!("log.file={}", dir.join("n.log").display());
    let paths = [spool.as_str(), file.as_str()];
    let set = |layers: Layers, setting: &&str| layers.set(setting).unwrap();
    settings.iter().chain(&paths).fold(Layers::new(), set).build().unwrap()
}

/// Returns the event of one image's deletion.
fn event(number: u128) -> Event {
    Event::ImageDelete(Payload::Info(DeletedImage::Id(Uuid::from_u128(number))))
}

/// Sends `count` events, waits until both stages are empty, and returns their accounts.
async fn send(config: &Config, count: u128) -> Vec<(&'static str, glance_notify::pipeline::Stats)> {
    let (notifier, worker) = glance_notify::start(config).unwrap();
    let worker = tokio::spawn(worker.run());
    for number in 0..count {
        notifier.send(&event(number)).await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while notifier.stages().iter().any(|(_, stats)| stats.pending.messages > 0) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", notifier.stages());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await.unwrap();
    notifier.stages()
}

/// The worker writes to the disk and forwards from there; each stage counts for itself.
#[tokio::test]
async fn a_spool_forwards_to_the_strategy_and_each_stage_has_its_account() {
    let dir = tempfile::tempdir().unwrap();
    let stages = send(&config(dir.path(), &["strategy=log"]), 5).await;
    let counts: Vec<_> =
        stages.iter().map(|(name, stats)| (*name, stats.emitted, stats.delivered)).collect();
    assert_eq!(counts, [("spool", 5, 5), ("log", 5, 5)]);
    let log = std::fs::read_to_string(dir.path().join("n.log")).unwrap();
    assert_eq!(log.lines().count(), 5);
    assert_eq!(admin::slots(&dir.path().join("s")).unwrap().len(), 1);
}

/// `noop` takes no event, so its spool would stay empty.
#[tokio::test]
async fn noop_opens_no_spool() {
    let dir = tempfile::tempdir().unwrap();
    let stages = send(&config(dir.path(), &["strategy=noop"]), 5).await;
    assert_eq!((stages.len(), stages[0].0, stages[0].1.suppressed), (1, "noop", 5));
    assert!(!dir.path().join("s").exists());
}

/// Redaction happens before the spool writes.
#[tokio::test]
async fn no_secret_reaches_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    // The destination is a directory, so the message stays in the spool.
    std::fs::create_dir(dir.path().join("n.log")).unwrap();
    let config = config(dir.path(), &["strategy=log"]);
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let now = OffsetDateTime::now_utc();
    let mut image = glance_notify::Image::new(Uuid::nil(), glance_notify::ImageStatus::Queued, now);
    image.properties.insert("admin_password".into(), "hunter2".into());
    image.properties.insert("source".into(), "swift://u:hunter2@host/x".into());
    notifier.send(&Event::ImageCreate(image.into())).await.unwrap();
    notifier.shutdown(Duration::ZERO).await;
    worker.await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(dir.path().join("s")).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!content.windows(7).any(|window| window == b"hunter2"));
        files += usize::from(content.windows(12).any(|window| window == b"image.create"));
    }
    assert_eq!(files, 1, "the spool keeps the message");
}

/// Errors of the table have the form of all configuration errors.
#[test]
fn an_invalid_option_of_the_spool_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("spool.max_bytes=big", "`spool.max_bytes` (--set): expected a whole number"),
        ("spool.size=1", "`spool.size` (--set): unknown option"),
        ("spool.max_messages=0", "`spool.max_messages`"),
    ] {
        let error = glance_notify::start(&config(dir.path(), &["strategy=log", setting]));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let config: Config = "strategy = 'log'\nlog.file = 'x'\n[spool]".parse().unwrap();
    let error = glance_notify::start(&config).unwrap_err().to_string();
    assert!(error.starts_with("`spool.dir` is missing"), "{error}");
}
