//! Several processes in one directory: each owns a slot, and running processes forward the orphans.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Message, Transport as _};
use notify_spool::{Config, admin};
use notify_testbed::role_process::{role, role_process};

use crate::support::{open_spool, send_once, start, until};

/// Each spool locks the lowest free slot, and a slot in use cannot be opened from outside.
#[tokio::test]
async fn each_spool_locks_the_lowest_free_slot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spools = Vec::new();
    for number in 0..3 {
        let mut spool = open_spool(Config::new(&path));
        send_once(&mut spool, &samples::messages(number..number + 1)).await;
        spools.push(spool);
    }
    let in_use = |path| -> Vec<_> {
        let slots = admin::slots(path).unwrap();
        slots.into_iter().map(|slot| slot.owner == Some(std::process::id())).collect()
    };
    assert_eq!(in_use(&path), [true, true, true]);
    let error = admin::OpenSlot::open(&path, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    spools[1].close().await.unwrap();
    assert_eq!(in_use(&path), [true, false, true]);
    let mut spool = open_spool(Config::new(&path));
    send_once(&mut spool, &samples::messages(9..10)).await;
    assert_eq!(in_use(&path), [true, true, true]);
    spool.close().await.unwrap();
    let open = admin::OpenSlot::open(&path, 1).unwrap();
    assert_eq!(open.contents().pending.messages, 2, "the new owner keeps the messages of the slot");
}

/// A running process forwards the slots of processes that ended before it started and while it runs.
#[test]
fn forwards_the_messages_of_killed_processes() {
    let name = "shared_dir::forwards_the_messages_of_killed_processes";
    if let Some(role) = role() {
        let (from, path) = role.split_once(' ').unwrap();
        return store_and_wait(from.parse().unwrap(), path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let sibling = |from: u64| {
        let role = format!("{from} {}", path.display());
        let mut child = role_process(&[], name, &role).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let stored = |line: &std::io::Result<String>| line.as_ref().unwrap() == STORED;
        assert!(output.lines().any(|line| stored(&line)));
        child
    };
    let kill = |mut child: Child| {
        child.kill().unwrap();
        child.wait().unwrap();
    };
    // Two processes end before this one starts, and the third ends later.
    let (first, second, third) = (sibling(0), sibling(1000), sibling(2000));
    kill(first);
    kill(second);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let script = Script::default();
        let running = start(Config::new(&path), &script);
        running.store(&samples::messages(3000..3500)).await;
        until("forwarding of two orphans", || script.stored().len() == 1500).await;
        assert!(!ids(&script.stored()).contains(&2000), "the third process still owns its slot");
        kill(third);
        until("forwarding of the third orphan", || script.stored().len() == 2000).await;
        until("recording of all outcomes", || running.forwarded().pending.messages == 0).await;
        let stats = running.stop().await;
        assert_eq!((stats.emitted, stats.delivered), (2000, 2000));
        let mut ids = ids(&script.stored());
        ids.sort_unstable();
        let expected = [0..500, 1000..1500, 2000..2500, 3000..3500];
        assert_eq!(ids, expected.into_iter().flatten().collect::<Vec<u64>>(), "each message once");
        assert!(admin::slots(&path).unwrap().iter().all(|slot| slot.file_bytes == 0));
    });
}

/// Three forwarders in one directory share the orphans and never forward the same message.
#[tokio::test]
async fn concurrent_forwarders_forward_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for from in [0, 1000] {
        let mut spool = open_spool(Config::new(&path));
        send_once(&mut spool, &samples::messages(from..from + 1000)).await;
        // Without `close`, as a process that ends in a hurry.
        drop(spool);
    }
    let script = Script::default();
    let running: Vec<_> = (0..3).map(|_| start(Config::new(&path), &script)).collect();
    for (running, from) in running.iter().zip([2000, 3000, 4000]) {
        running.store(&samples::messages(from..from + 1000)).await;
    }
    until("forwarding of all messages", || script.stored().len() >= 5000).await;
    for running in running {
        running.stop().await;
    }
    let mut ids = ids(&script.stored());
    ids.sort_unstable();
    assert_eq!(ids, (0..5000).collect::<Vec<_>>());
}

/// Stores 500 messages, reports that and waits until the test kills the process.
fn store_and_wait(from: u64, path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut spool = open_spool(Config::new(path));
    let batch = samples::messages(from..from + 500);
    assert_eq!(runtime.block_on(send_once(&mut spool, &batch)).0, 500);
    println!("{STORED}");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// Returns the sample numbers of `messages`.
fn ids(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.id().as_u64_pair().1 & !(1 << 63)).collect()
}

/// The report of a process that has stored its messages.
const STORED: &str = "stored";
