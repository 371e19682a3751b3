//! Several processes in one directory: a slot for each, and nobody's messages stay behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::{ErrorKind, Message, Transport as _};
use notify_spool::{Config, admin};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, keep, start, until};

#[tokio::test]
async fn each_spool_has_a_slot_of_its_own_and_the_lowest_that_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spools = Vec::new();
    for number in 0..3 {
        let mut spool = keep(Config::new(&path));
        attempt(&mut spool, &samples::messages(number..number + 1)).await;
        spools.push(spool);
    }
    let held = |path| -> Vec<_> {
        let slots = admin::slots(path).unwrap();
        slots.into_iter().map(|slot| slot.owner == Some(std::process::id())).collect()
    };
    assert_eq!(held(&path), [true, true, true]);
    let error = admin::OpenSlot::open(&path, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    spools[1].close().await.unwrap();
    assert_eq!(held(&path), [true, false, true]);
    let mut spool = keep(Config::new(&path));
    attempt(&mut spool, &samples::messages(9..10)).await;
    assert_eq!(held(&path), [true, true, true]);
    spool.close().await.unwrap();
    let open = admin::OpenSlot::open(&path, 1).unwrap();
    assert_eq!(open.contents().pending.messages, 2, "it went on with what was there");
}

/// Also while another process forwards, and as soon as a process is gone.
#[test]
fn what_a_process_leaves_is_forwarded_by_its_sibling() {
    let name = "shared::what_a_process_leaves_is_forwarded_by_its_sibling";
    if let Some(role) = role() {
        let (from, path) = role.split_once(' ').unwrap();
        return store_and_stay(from.parse().unwrap(), path);
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
    // Two that are gone before, and one that goes later.
    let (first, second, third) = (sibling(0), sibling(1000), sibling(2000));
    kill(first);
    kill(second);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let script = Script::default();
        let running = start(Config::new(&path), &script);
        running.store(&samples::messages(3000..3500)).await;
        until("two of them to be forwarded", || script.stored().len() == 1500).await;
        assert!(!ids(&script.stored()).contains(&2000), "the third still holds its own");
        kill(third);
        until("all of them to be forwarded", || script.stored().len() == 2000).await;
        until("all of it to be written down", || running.forwarded().pending.messages == 0).await;
        let stats = running.stop().await;
        assert_eq!((stats.emitted, stats.delivered), (2000, 2000));
        let mut ids = ids(&script.stored());
        ids.sort_unstable();
        let expected = [0..500, 1000..1500, 2000..2500, 3000..3500];
        assert_eq!(ids, expected.into_iter().flatten().collect::<Vec<u64>>(), "each once");
        assert!(admin::slots(&path).unwrap().iter().all(|slot| slot.file_bytes == 0));
    });
}

/// Two that forward from one directory at the same time never forward the same.
#[tokio::test]
async fn two_that_run_at_once_forward_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for from in [0, 1000] {
        let mut spool = keep(Config::new(&path));
        attempt(&mut spool, &samples::messages(from..from + 1000)).await;
        // Dropped rather than closed, as whoever ends in a hurry.
        drop(spool);
    }
    let script = Script::default();
    let running: Vec<_> = (0..3).map(|_| start(Config::new(&path), &script)).collect();
    for (running, from) in running.iter().zip([2000, 3000, 4000]) {
        running.store(&samples::messages(from..from + 1000)).await;
    }
    until("everything to be forwarded", || script.stored().len() >= 5000).await;
    for running in running {
        running.stop().await;
    }
    let mut ids = ids(&script.stored());
    ids.sort_unstable();
    assert_eq!(ids, (0..5000).collect::<Vec<_>>());
}

fn store_and_stay(from: u64, path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut spool = keep(Config::new(path));
    let batch = samples::messages(from..from + 500);
    assert_eq!(runtime.block_on(attempt(&mut spool, &batch)).0, 500);
    println!("{STORED}");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// The numbers of samples.
fn ids(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.id().as_u64_pair().1 & !(1 << 63)).collect()
}

const STORED: &str = "stored";
