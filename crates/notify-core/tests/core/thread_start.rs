//! A system that has no room for another thread.

use notify_conformance::script::Script;
use notify_core::{ErrorKind, Outcome};
use notify_testbed::role_process::{role, role_process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{build, image_create, outcome, queue_config};

/// Inside a runtime too, a worker whose thread cannot start is an error, and settles every message.
#[test]
fn a_worker_without_a_thread_is_an_error() {
    if role().is_some() {
        return start_without_room();
    }
    let name = "thread_start::a_worker_without_a_thread_is_an_error";
    let output = role_process(&[], name, "worker").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a worker while the address space has no room for the stack of a thread.
fn start_without_room() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (notifier, worker) = build(&Script::default(), queue_config(10, 10));
        let receipt = notifier.emit(&image_create());
        let unlimited = getrlimit(Resource::As);
        // A thread needs 2 MiB for its stack.
        let limit = Rlimit { current: Some(used_bytes() + 1024 * 1024), ..unlimited };
        setrlimit(Resource::As, limit).unwrap();
        let started = worker.spawn_thread();
        setrlimit(Resource::As, unlimited).unwrap();
        assert_eq!(started.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(outcome(receipt.await), Some(Outcome::NotSent));
    });
}

/// Returns the size of this process's address space.
fn used_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
