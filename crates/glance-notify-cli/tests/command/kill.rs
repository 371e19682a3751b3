//! kill -9 at any moment: whole lines, at most one cut line for each kill, and no ack too many.

use std::collections::BTreeSet;
use std::fs;

use crate::support::{Sandbox, emit, ids, line, wait_until};

#[test]
fn a_kill_leaves_whole_lines_and_the_next_run_starts_a_new_line() {
    const KILLS: u64 = 12;
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line(&"x".repeat(700)).repeat(20_000));
    let mut acked = BTreeSet::new();
    let size = || fs::metadata(sandbox.path("n.log")).map_or(0, |metadata| metadata.len());
    for kill in 0..KILLS {
        let before = size();
        let mut child = sandbox.command(emit(&[input, "--acks", "acks"])).spawn().unwrap();
        // Anywhere from before the first write to far into the stream.
        let offset = kill * 7_919 * 131 % 2_000_000;
        wait_until("it has written so much", || size() >= before + offset);
        child.kill().unwrap();
        child.wait().unwrap();
        let acks = fs::read_to_string(sandbox.path("acks")).unwrap_or_default();
        // The last id may itself be cut.
        acked.extend(
            acks.split_inclusive('\n')
                .filter(|id| id.ends_with('\n'))
                .map(|id| id.trim().to_owned()),
        );
        sandbox.pipe(emit(&[]), line("after")).expect(0);
        let content = sandbox.read("n.log");
        let last = content.lines().last().unwrap();
        assert!(last.contains("\"payload\":\"after\""), "on its own line: {last}");
    }
    let content = sandbox.read("n.log");
    let lines: Vec<_> = content.lines().map(serde_json::from_str::<serde_json::Value>).collect();
    let cut = lines.iter().filter(|line| line.is_err()).count();
    assert!(cut <= usize::try_from(KILLS).unwrap(), "{cut} cut lines");
    let whole: Vec<_> = lines.into_iter().flatten().collect();
    let written: BTreeSet<_> = ids(&whole).into_iter().map(str::to_owned).collect();
    assert!(!acked.is_empty());
    assert!(acked.is_subset(&written), "what was acknowledged is in the file");
}
