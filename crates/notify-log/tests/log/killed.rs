//! `kill -9` at any moment: accepted messages are in the file, and at most the last line is partial.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use notify_testbed::role_process::{role, role_process};

use crate::support::{deliver, log, message, parse_line};

/// A killed process loses no accepted message and leaves one partial line at most. The next process
/// starts on a new line.
#[test]
fn a_killed_process_leaves_one_partial_line_at_most() {
    if let Some(role) = role() {
        let (series, path) = role.split_once(' ').unwrap();
        return write_until_killed(series.parse().unwrap(), Path::new(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut accepted = BTreeMap::new();
    for series in 0..KILLS {
        let name = "killed::a_killed_process_leaves_one_partial_line_at_most";
        let role = format!("{series} {}", path.display());
        let mut process = role_process(&[], name, &role).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        for line in output.lines().map(Result::unwrap) {
            if line == ACCEPTED {
                let batches = accepted.entry(series).or_insert(0);
                *batches += 1;
                if *batches == 1 + series % 4 {
                    // Kill it at a varying moment of one of the next batches.
                    std::thread::sleep(Duration::from_micros(u64::from(series) * 100));
                    process.kill().unwrap();
                }
            }
        }
        process.wait().unwrap();
    }

    let content = fs::read(&path).unwrap();
    let mut lines: Vec<_> = content.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let found: Vec<_> = lines.iter().map(|line| parse_line(line)).collect();
    let partial = found.iter().filter(|line| line.is_none()).count();
    println!("{} lines of {KILLS} killed processes, {partial} of them partial", found.len());
    assert!(partial <= KILLS as usize);
    for (line, next) in found.iter().zip(found.iter().skip(1)) {
        // A partial line is the last line of its process, so the first line of another follows.
        assert!(line.is_some() || next.is_some_and(|(_, number)| number == 0), "{line:?} {next:?}");
    }
    let mut counts = BTreeMap::<_, u32>::new();
    for line in found.into_iter().flatten() {
        *counts.entry(line).or_default() += 1;
    }
    for series in 0..KILLS {
        for number in 0..BATCH {
            assert!(counts[&(series, number)] >= accepted[&series], "an accepted line is missing");
        }
    }
}

/// Delivers the same batch again and again, and prints [`ACCEPTED`] after each.
fn write_until_killed(series: u32, path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut log = log(path);
    let batch: Vec<_> = (0..BATCH).map(|number| message(series, number, 20_000)).collect();
    loop {
        runtime.block_on(deliver(&mut log, &batch));
        println!("{ACCEPTED}");
        std::io::stdout().flush().unwrap();
    }
}

/// The number of processes that the test kills.
const KILLS: u32 = 20;
/// The number of messages in a batch.
const BATCH: u32 = 40;
/// The line that a process prints for each accepted batch.
const ACCEPTED: &str = "accepted";
