//! A full spool and a full disk.
//!
//! Both bounds refuse or delay new messages. Neither may lose or reorder accepted ones.

use std::path::Path;

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::{Config, FullSpoolPolicy};
use notify_testbed::role_process::{role, role_process};

use crate::support::{bodies, open_spool, pending_in, send_once, start, until};

/// A batch that only fits in part is accepted up to `spool.max_messages`, with either policy.
#[tokio::test]
async fn accepts_the_part_of_a_batch_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let messages = samples::messages(0..100);
    let mut stored = 0;
    for when_full in [FullSpoolPolicy::Retry, FullSpoolPolicy::Refuse] {
        let mut config = Config::new(&path);
        config.max_messages = 30;
        config.when_full = when_full;
        let mut spool = open_spool(config);
        let (accepted, error) = send_once(&mut spool, &messages[stored..]).await;
        stored += accepted;
        assert_eq!(stored, 30);
        let error = error.unwrap();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Full, Outcome::NotSent));
        assert!(error.to_string().starts_with("the spool is full with 30 messages: "), "{error}");
        assert!(error.to_string().contains("`spool.max_messages` (30)"), "{error}");
        let (accepted, error) = send_once(&mut spool, &messages[30..]).await;
        assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Full));
        spool.close().await.unwrap();
        assert!(bodies(&pending_in(&path)) == bodies(&messages[..30]));
    }
}

/// The spool accepts exactly as many messages as fit into `spool.max_bytes`.
#[tokio::test]
async fn max_bytes_bounds_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut config = Config::new(&path);
    config.max_bytes = 1_100_000;
    let mut spool = open_spool(config);
    let messages = samples::messages(0..5000);
    let (accepted, error) = send_once(&mut spool, &messages).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Full);
    spool.close().await.unwrap();
    let size =
        |count| messages[..count].iter().map(|message| message.body().len() + 4).sum::<usize>();
    assert!(size(accepted) <= 1_100_000 && size(accepted + 1) > 1_100_000);
    assert_eq!(pending_in(&path).len(), accepted);
}

/// With the policy `retry`, messages wait in front of a full spool until forwarding frees room. No lane fails,
/// so all of them keep their order.
#[tokio::test]
async fn stores_waiting_messages_as_soon_as_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::with_lanes();
    script.set_stalled(true);
    let mut config = Config::new(dir.path().join("s"));
    config.max_messages = 100;
    let running = start(config, &script);
    let messages = samples::messages(0..500);
    let mut receipts = Vec::new();
    for message in &messages {
        receipts.push(running.notifier.relay(message.clone()).await);
    }
    until("a full spool", || running.notifier.stats().delivered == 100).await;
    script.set_stalled(false);
    for receipt in receipts {
        crate::support::within("a receipt", receipt).await.unwrap();
        assert!(!running.notifier.has_failing_lane(), "the spool is full for all lanes");
    }
    until("forwarding of all messages", || running.forwarded().pending.messages == 0).await;
    running.stop().await;
    assert!(bodies(&script.stored()) == bodies(&messages));
}

/// A full disk is a transient error, and the same spool continues when there is room again.
///
/// The limit on a file's size (`RLIMIT_FSIZE`) simulates the full disk: a write beyond it fails.
#[test]
fn recovers_from_a_full_disk() {
    if let Some(dir) = role() {
        return fill_the_disk(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    // A soft limit of 512 KiB, which the process can raise.
    let limited = r#"trap "" XFSZ; ulimit -S -f 1024; exec "$0" "$@""#;
    let name = "full_spool::recovers_from_a_full_disk";
    // Through a pipe, because the limit would apply to an output file as well.
    let mut command = role_process(&["sh", "-c", limited], name, &dir.path().to_string_lossy());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(dir.path().join("passed").exists(), "the other process must run to its end");
}

/// Runs in a process of its own: fills the disk up to the limit, raises the limit and continues.
fn fill_the_disk(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = dir.join("s");
        let mut spool = open_spool(Config::new(&path));
        let messages = samples::messages(0..5000);
        let mut stored = 0;
        let error = loop {
            let (accepted, error) = send_once(&mut spool, &messages[stored..stored + 100]).await;
            stored += accepted;
            if let Some(error) = error {
                assert_eq!(accepted, 0, "a batch on a full disk fails as a whole");
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Full, "{error:#}");
        assert!(error.is_transient() && stored >= 100, "{stored}");
        for _ in 0..3 {
            let (accepted, error) = send_once(&mut spool, &messages[stored..stored + 100]).await;
            assert_eq!((accepted, error.unwrap().kind()), (0, ErrorKind::Full));
        }
        let limit = rustix::process::Rlimit { current: None, maximum: None };
        let hard = rustix::process::getrlimit(rustix::process::Resource::Fsize).maximum;
        let limit = rustix::process::Rlimit { current: hard, ..limit };
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        let (accepted, error) = send_once(&mut spool, &messages[stored..]).await;
        assert_eq!(accepted, messages.len() - stored, "{error:?}");
        spool.close().await.unwrap();
        assert!(bodies(&pending_in(&path)) == bodies(&messages), "each message once, in order");
    });
    std::fs::write(dir.join("passed"), "").unwrap();
}
