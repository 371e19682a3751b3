//! A disk that fails to sync: the transport writes the batch again, because the earlier write proves
//! nothing.

use std::path::Path;

use notify_core::{ErrorKind, Outcome};
use notify_log::{Config, FileConfig, Log};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, content, deliver, messages, text};

/// A failed `fdatasync` settles no message, and the next attempt writes all lines again. `strace`
/// injects the error into the real system call.
#[test]
fn a_failed_sync_writes_the_batch_again() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let fail = "inject=fdatasync:error=EIO:when=2";
    let strace = ["strace", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", fail];
    let name = "sync::a_failed_sync_writes_the_batch_again";
    let mut command = role_process(&strace, name, &dir.path().to_string_lossy());
    let output = command.output().expect("no strace: run `cargo xtask setup`");
    assert!(output.status.success(), "{output:?}");
    let trace = std::fs::read_to_string(trace).unwrap();
    assert_eq!(trace.matches("(INJECTED)").count(), 1, "{trace}");
}

/// Runs under `strace`, which lets the second sync fail.
fn scenario(dir: &Path) {
    let path = dir.join("n.log");
    let mut log = Log::new(Config::File(FileConfig::new(&path)));
    let (first, second) = (messages(1, 0..3), messages(2, 0..3));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        deliver(&mut log, &first).await;
        let failed = attempt(&mut log, &second).await;
        assert_eq!(failed.accepted(), 0);
        let error = failed.error();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::Unknown));
        assert!(error.to_string().contains("n.log cannot be synced"), "{error}");
        deliver(&mut log, &second).await;
    });
    assert_eq!(content(&path), text(&[first, second.clone(), second].concat()));
}
