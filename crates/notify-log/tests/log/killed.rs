//! kill -9 at any moment: what was accepted is there, and at most the last line is cut.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use notify_testbed::role_process::{role, role_process};

use crate::support::{deliver, log, message, read};

#[test]
fn a_killed_process_leaves_whole_lines_and_the_next_starts_on_its_own() {
    if let Some(role) = role() {
        let (series, path) = role.split_once(' ').unwrap();
        return write_for_ever(series.parse().unwrap(), Path::new(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.log");
    let mut accepted = BTreeMap::new();
    for series in 0..KILLS {
        let name = "killed::a_killed_process_leaves_whole_lines_and_the_next_starts_on_its_own";
        let role = format!("{series} {}", path.display());
        let mut process = role_process(&[], name, &role).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        for line in output.lines().map(Result::unwrap) {
            if line == ACCEPTED {
                let batches = accepted.entry(series).or_insert(0);
                *batches += 1;
                if *batches == 1 + series % 4 {
                    // Somewhere in one of the next batches.
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
    let found: Vec<_> = lines.iter().map(|line| read(line)).collect();
    let cut = found.iter().filter(|line| line.is_none()).count();
    println!("{} lines of {KILLS} killed processes, {cut} of them cut", found.len());
    assert!(cut <= KILLS as usize);
    for (line, next) in found.iter().zip(found.iter().skip(1)) {
        // A cut line is the last of its process: another process's first line follows.
        assert!(line.is_some() || next.is_some_and(|(_, number)| number == 0), "{line:?} {next:?}");
    }
    let mut counts = BTreeMap::<_, u32>::new();
    for line in found.into_iter().flatten() {
        *counts.entry(line).or_default() += 1;
    }
    for series in 0..KILLS {
        for number in 0..BATCH {
            assert!(counts[&(series, number)] >= accepted[&series], "accepted and not there");
        }
    }
}

fn write_for_ever(series: u32, path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut log = log(path);
    let batch: Vec<_> = (0..BATCH).map(|number| message(series, number, 20_000)).collect();
    loop {
        runtime.block_on(deliver(&mut log, &batch));
        println!("{ACCEPTED}");
        std::io::stdout().flush().unwrap();
    }
}

const KILLS: u32 = 20;
const BATCH: u32 = 40;
const ACCEPTED: &str = "accepted";
