//! A system that has no room for another thread.

use notify_conformance::samples;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::Config;
use notify_testbed::role_process::{role, role_process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{bodies, open_spool, pending_in, send_once};

/// A spool whose thread cannot start reports a transient error, and stores once the system has room.
#[test]
fn a_failed_thread_start_is_tried_again() {
    if let Some(path) = role() {
        return store_without_room(&path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let name = "thread_start::a_failed_thread_start_is_tried_again";
    let output = role_process(&[], name, &path.to_string_lossy()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bodies(&pending_in(&path)) == bodies(&samples::messages(0..5)));
}

/// Tries to store while the address space has no room for the stack of a thread, and then with room.
fn store_without_room(path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let messages = samples::messages(0..5);
        let mut spool = open_spool(Config::new(path));
        let unlimited = getrlimit(Resource::As);
        // A thread needs 2 MiB for its stack.
        let limit = Rlimit { current: Some(used_bytes() + 1024 * 1024), ..unlimited };
        setrlimit(Resource::As, limit).unwrap();
        let attempts =
            [send_once(&mut spool, &messages).await, send_once(&mut spool, &messages).await];
        setrlimit(Resource::As, unlimited).unwrap();
        for (accepted, error) in attempts {
            let error = error.unwrap();
            assert_eq!((accepted, error.kind()), (0, ErrorKind::Unavailable), "{error:#}");
            assert_eq!(error.outcome(), Outcome::NotSent);
        }
        let (accepted, error) = send_once(&mut spool, &messages).await;
        assert_eq!(accepted, 5, "{error:?}");
        spool.close().await.unwrap();
    });
}

/// Returns the size of this process's address space.
fn used_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
