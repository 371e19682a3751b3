//! kill -9 at any moment: what was accepted is there, in order, and is forwarded by the next run.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_core::Message;
use notify_spool::Config;
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, keep, start, until};

#[test]
fn what_a_killed_process_was_told_is_there_is_there() {
    if let Some(role) = role() {
        let (from, path) = role.split_once(' ').unwrap();
        return store_for_ever(from.parse().unwrap(), path);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut accepted = Vec::new();
    for series in 0..KILLS {
        let from = series * 1_000_000;
        let name = "killed::what_a_killed_process_was_told_is_there_is_there";
        let role = format!("{from} {}", path.display());
        let mut process = role_process(&[], name, &role).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut told = 0;
        for line in output.lines().map(Result::unwrap) {
            if let Some(count) = line.strip_prefix(ACCEPTED) {
                told = count.parse().unwrap();
                if told == BATCH * (1 + series % 5) {
                    // Somewhere in one of the next batches.
                    std::thread::sleep(Duration::from_micros(series * 150));
                    process.kill().unwrap();
                }
            }
        }
        process.wait().unwrap();
        accepted.extend(samples::messages(from..from + told));
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let script = Script::default();
        let running = start(Config::new(&path), &script);
        let opened = Instant::now();
        until("everything to be forwarded", || {
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
        let taken = script.stored();
        let ids: HashSet<_> = taken.iter().map(Message::id).collect();
        assert_eq!(ids.len(), taken.len(), "none twice: nobody was killed while forwarding");
        let lost = accepted.iter().filter(|message| !ids.contains(&message.id())).count();
        assert_eq!(lost, 0, "of {}", accepted.len());
        assert!(taken.is_sorted_by_key(Message::timestamp), "in the order they were accepted in");
    });
}

fn store_for_ever(from: u64, path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut spool = keep(Config::new(path));
    let mut stored = 0;
    loop {
        let batch = samples::messages(from + stored..from + stored + BATCH);
        let (accepted, error) = runtime.block_on(attempt(&mut spool, &batch));
        assert!(error.is_none(), "{error:?}");
        stored += accepted as u64;
        println!("{ACCEPTED}{stored}");
        std::io::stdout().flush().unwrap();
    }
}

const KILLS: u64 = 25;
const BATCH: u64 = 150;
const ACCEPTED: &str = "accepted ";
