//! No room: in the spool, and on the disk.

use std::path::Path;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::{Config, FullSpoolPolicy};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, bodies, keep, left_in, start, until};

#[tokio::test]
async fn what_fits_of_a_batch_is_accepted_and_the_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let messages = samples::messages(0..100);
    let mut stored = 0;
    for when_full in [FullSpoolPolicy::Retry, FullSpoolPolicy::Refuse] {
        let mut config = Config::new(&path);
        config.max_messages = 30;
        config.when_full = when_full;
        let mut spool = keep(config);
        let (accepted, error) = attempt(&mut spool, &messages[stored..]).await;
        stored += accepted;
        assert_eq!(stored, 30);
        let error = error.unwrap();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Full, Outcome::NotSent));
        assert!(error.to_string().contains("`spool.max_messages` (30)"), "{error}");
        let (accepted, error) = attempt(&mut spool, &messages[30..]).await;
        assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Full));
        spool.close().await.unwrap();
        assert!(bodies(&left_in(&path)) == bodies(&messages[..30]));
    }
}

#[tokio::test]
async fn bytes_are_a_bound_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut config = Config::new(&path);
    config.max_bytes = 1_100_000;
    let mut spool = keep(config);
    let messages = samples::messages(0..5000);
    let (accepted, error) = attempt(&mut spool, &messages).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Full);
    spool.close().await.unwrap();
    let size = |count| messages[..count].iter().map(|it| it.body().len() + 4).sum::<usize>();
    assert!(size(accepted) <= 1_100_000 && size(accepted + 1) > 1_100_000);
    assert_eq!(left_in(&path).len(), accepted);
}

#[tokio::test]
async fn what_waits_for_room_gets_it_when_the_destination_takes_some() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::default();
    script.set_stalled(true);
    let mut config = Config::new(dir.path().join("s"));
    config.max_messages = 100;
    let running = start(config, &script);
    let messages = samples::messages(0..500);
    let mut receipts = Vec::new();
    for message in &messages {
        receipts.push(running.notifier.relay(message.clone()).await);
    }
    until("the spool to be full", || running.notifier.stats().delivered == 100).await;
    script.set_stalled(false);
    for receipt in receipts {
        crate::support::within("room", receipt).await.unwrap();
    }
    until("everything to be forwarded", || running.forwarded().pending.messages == 0).await;
    running.stop().await;
    assert!(bodies(&script.stored()) == bodies(&messages));
}

/// The limit on a file's size stands in for a full disk: a write that crosses it fails.
#[test]
fn a_full_disk_is_an_honest_error_and_is_used_again_once_there_is_room() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // 512 KiB, which can be raised again.
    let limited = r#"trap "" XFSZ; ulimit -S -f 1024; exec "$0" "$@""#;
    let name = "full::a_full_disk_is_an_honest_error_and_is_used_again_once_there_is_room";
    // Through a pipe: the limit would hold for a file that the tests' output goes to as well.
    let mut command = role_process(&["sh", "-c", limited], name, &dir.path().to_string_lossy());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(dir.path().join("passed").exists(), "the scenario was played");
}

fn scenario(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = dir.join("s");
        let mut spool = keep(Config::new(&path));
        let messages = samples::messages(0..5000);
        let mut stored = 0;
        let error = loop {
            let (accepted, error) = attempt(&mut spool, &messages[stored..stored + 100]).await;
            stored += accepted;
            if let Some(error) = error {
                assert_eq!(accepted, 0, "nothing is half accepted");
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Full, "{error:#}");
        assert!(error.is_transient() && stored >= 100, "{stored}");
        for _ in 0..3 {
            let (accepted, error) = attempt(&mut spool, &messages[stored..stored + 100]).await;
            assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Full));
        }
        let limit = rustix::process::Rlimit { current: None, maximum: None };
        let hard = rustix::process::getrlimit(rustix::process::Resource::Fsize).maximum;
        let limit = rustix::process::Rlimit { current: hard, ..limit };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        let (accepted, error) = attempt(&mut spool, &messages[stored..]).await;
        assert_eq!(accepted, messages.len() - stored, "{error:?}");
        spool.close().await.unwrap();
        assert!(bodies(&left_in(&path)) == bodies(&messages), "each once, in order");
    });
    std::fs::write(dir.join("passed"), "").unwrap();
}
