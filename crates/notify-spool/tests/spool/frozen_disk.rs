//! A real file system that is frozen while a process spools.
//!
//! Only root can do that, so the test is skipped for other users.

use std::time::{Duration, Instant};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_spool::{Config, admin};
use notify_testbed::disk::MountedDisk;

use crate::support::{bodies, open_spool, pending_in, send_once, start, until, within};

/// A frozen disk blocks no thread of the runtime, a shutdown ends in time, and no accepted message is
/// lost. The disk freezes while an orphan waits for its adoption.
#[tokio::test]
async fn a_frozen_disk_blocks_no_runtime_and_loses_nothing() {
    let disk = match MountedDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let path = disk.path().join("s");
    let script = Script::default();
    let messages = samples::messages(0..60);
    let running = start(Config::new(&path), &script);
    running.store(&messages[..20]).await;
    let mut neighbour = open_spool(Config::new(&path));
    assert_eq!(send_once(&mut neighbour, &messages[20..40]).await.0, 20);
    script.set_stalled(true);
    drop(neighbour);
    until("the end of the neighbour", || {
        admin::slots(&path).unwrap().iter().any(|slot| slot.owner.is_none())
    })
    .await;

    let frozen = disk.freeze();
    let begin = Instant::now();
    for message in &messages[40..] {
        running.notifier.relay(message.clone()).await;
    }
    // The next search for orphans comes within five seconds. A blocked runtime would not tick.
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    within("the shutdown", running.notifier.shutdown(Duration::from_secs(1))).await;
    within("the worker", running.worker).await.unwrap();
    let elapsed = begin.elapsed();
    drop(frozen);
    // The file system thaws by itself after a minute, which would end a blocked shutdown too.
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");

    until("the end of the thread", || {
        admin::slots(&path).unwrap().iter().all(|slot| slot.owner.is_none())
    })
    .await;
    let mut found = bodies(&script.stored());
    found.extend(bodies(&pending_in(&path)));
    let lost = bodies(&messages[..40]).into_iter().filter(|body| !found.contains(body)).count();
    assert_eq!(lost, 0);
}
