//! `kill -9` of a process that stores: the next run forwards every accepted message, in order.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::Message;
use notify_spool::Config;
use notify_testbed::role_process::{role, role_process};

use crate::support::{open_spool, send_once, start, until};

/// No kill loses an accepted message, and the next run forwards each message once.
#[test]
fn accepted_messages_survive_kill_9() {
    if let Some(role) = role() {
        let (from, path) = role.split_once(' ').unwrap();
        return store_until_killed(from.parse().unwrap(), path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut accepted = Vec::new();
    for series in 0..KILLS {
        let from = series * 1_000_000;
        let name = "process_kill::accepted_messages_survive_kill_9";
        let role = format!("{from} {}", path.display());
        let mut process = role_process(&[], name, &role).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut reported = 0;
        for line in output.lines().map(Result::unwrap) {
            if let Some(count) = line.strip_prefix(ACCEPTED) {
                reported = count.parse().unwrap();
                if reported == BATCH * (1 + series % 5) {
                    // At a different moment of one of the next batches in each series.
                    std::thread::sleep(Duration::from_micros(series * 150));
                    process.kill().unwrap();
                }
            }
        }
        process.wait().unwrap();
        accepted.extend(samples::messages(from..from + reported));
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let script = Script::default();
        let running = start(Config::new(&path), &script);
        let opened = Instant::now();
        until("forwarding of all messages", || {
            let stats = running.forwarded();
            stats.emitted > 0 && stats.pending.messages == 0
        })
        .await;
        let stats = running.stop().await;
        println!(
            "{KILLS} kills, {} accepted, {} found and forwarded within {} ms",
            accepted.len(),
            stats.delivered,
            opened.elapsed().as_millis()
        );
        let delivered = script.stored();
        let ids: HashSet<_> = delivered.iter().map(Message::id).collect();
        assert_eq!(
            ids.len(),
            delivered.len(),
            "no kill during forwarding, so no message may come twice"
        );
        let lost = accepted.iter().filter(|message| !ids.contains(&message.id())).count();
        assert_eq!(lost, 0, "of {}", accepted.len());
        assert!(delivered.is_sorted_by_key(Message::timestamp), "the order of acceptance");
    });
}

/// Stores batch after batch and reports the number of accepted messages, until the test kills it.
fn store_until_killed(from: u64, path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut spool = open_spool(Config::new(path));
    let mut stored = 0;
    loop {
        let batch = samples::messages(from + stored..from + stored + BATCH);
        let (accepted, error) = runtime.block_on(send_once(&mut spool, &batch));
        assert!(error.is_none(), "{error:?}");
        stored += accepted as u64;
        println!("{ACCEPTED}{stored}");
        std::io::stdout().flush().unwrap();
    }
}

/// The number of kills.
const KILLS: u64 = 25;
/// The size of a batch, in messages.
const BATCH: u64 = 150;
/// The prefix of a report.
const ACCEPTED: &str = "accepted ";
