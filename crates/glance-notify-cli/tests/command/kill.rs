//! kill -9 during an `emit` to a file.
//!
//! At most one line is cut for each kill, and `--acks` never lists a notification that is
//! not in the file.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Sandbox, emit, ids, line, wait_until};

/// Kills `emit` twelve times at different places of the stream. After each kill the next
/// process starts on a line of its own, and every acknowledged id is in the file.
///
/// The next process must not append to a cut line: one kill would then damage two
/// notifications.
#[test]
fn a_kill_leaves_whole_lines_and_the_next_run_starts_a_new_line() {
    /// The number of processes that the test kills.
    const KILLS: u64 = 12;
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line(&"x".repeat(700)).repeat(20_000));
    let mut acked = BTreeSet::new();
    let size = || fs::metadata(sandbox.path("n.log")).map_or(0, |metadata| metadata.len());
    for kill in 0..KILLS {
        let before = size();
        let mut child = sandbox.command(emit(&[input, "--acks", "acks"])).spawn().unwrap();
        // From before the first write to far into the stream.
        let offset = kill * 7_919 * 131 % 2_000_000;
        wait_until("enough is written", || size() >= before + offset);
        child.kill().unwrap();
        child.wait().unwrap();
        let acks = fs::read_to_string(sandbox.path("acks")).unwrap_or_default();
        // The kill may have cut the last id.
        acked.extend(
            acks.split_inclusive('\n')
                .filter(|id| id.ends_with('\n'))
                .map(|id| id.trim().to_owned()),
        );
        sandbox.pipe(emit(&[]), line("after")).expect(0);
        let content = sandbox.read("n.log");
        let last = content.lines().last().unwrap();
        assert!(last.contains("\"payload\":\"after\""), "starts a line of its own: {last}");
    }
    let content = sandbox.read("n.log");
    let lines: Vec<_> = content.lines().map(serde_json::from_str::<serde_json::Value>).collect();
    let cut = lines.iter().filter(|line| line.is_err()).count();
    assert!(cut <= usize::try_from(KILLS).unwrap(), "{cut} cut lines");
    let whole: Vec<_> = lines.into_iter().flatten().collect();
    let written: BTreeSet<_> = ids(&whole).into_iter().map(str::to_owned).collect();
    assert!(!acked.is_empty());
    assert!(acked.is_subset(&written), "every acknowledged id is in the file");
}
