//! Code that stands in both AMQP crates.
//!
//! The crates talk to two client libraries, so their files mirror each other. Code that both share
//! belongs to `notify-net`; tests that both share belong to the testbed or the conformance suite.

use std::collections::HashMap;

use super::workspace::{TextFile, Workspace};

/// No run of six or more lines, blank lines and indentation aside, stands in both AMQP crates, tests
/// included.
pub(super) fn amqp_crates_share_no_lines(workspace: &Workspace) -> Vec<String> {
    let [first, second] = CRATES.map(|directory| {
        let files = workspace.sources.iter().filter(|file| file.path.starts_with(directory));
        files.map(SourceLines::new).collect::<Vec<_>>()
    });
    let mut places: HashMap<&[&str], (&SourceLines<'_>, usize)> = HashMap::new();
    for file in &first {
        for (start, run) in file.texts.windows(RUN).enumerate() {
            places.entry(run).or_insert((file, start));
        }
    }
    second.iter().flat_map(|file| file.runs_of(&places)).collect()
}

/// The lines of a file that are not blank, without their indentation.
struct SourceLines<'a> {
    file: &'a TextFile,
    /// The number of each line, counted from 1.
    numbers: Vec<usize>,
    texts: Vec<&'a str>,
}

impl<'a> SourceLines<'a> {
    fn new(file: &'a TextFile) -> Self {
        let lines = file.text.lines().map(str::trim).enumerate();
        let (numbers, texts) = lines.filter(|(_, text)| !text.is_empty()).unzip();
        Self { file, numbers, texts }
    }

    /// Returns a violation for each run of this file that stands at one of `places` too.
    fn runs_of(&self, places: &HashMap<&[&str], (&SourceLines<'_>, usize)>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut start = 0;
        while start + RUN <= self.texts.len() {
            let Some((other, there)) = places.get(&self.texts[start..start + RUN]) else {
                start += 1;
                continue;
            };
            let length = std::iter::zip(&self.texts[start..], &other.texts[*there..])
                .take_while(|(ours, theirs)| ours == theirs)
                .count();
            let run = &self.texts[start..start + length];
            if !ALLOWED.iter().any(|line| run.contains(line)) {
                problems.push(format!(
                    "{}:{}: {length} lines are also in {}:{}",
                    self.file.path.display(),
                    self.numbers[start] + 1,
                    other.file.path.display(),
                    other.numbers[*there] + 1,
                ));
            }
            start += length;
        }
        problems
    }
}

/// The crates that mirror each other.
const CRATES: [&str; 2] = ["crates/notify-rabbit", "crates/notify-qpid"];
/// The number of lines from which a run is a duplicate.
const RUN: usize = 6;
/// A line of each run that may stand in both: methods of the conformance suite's `Harness`, of one call
/// each, which both implement for RabbitMQ.
const ALLOWED: [&str; 3] = [
    "async fn open_handles(&mut self) -> usize {",
    "async fn stall(&mut self) {",
    "async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {",
];

#[cfg(test)]
mod tests {
    use super::super::workspace::testing::sources;
    use super::*;

    /// Returns the violations of two files.
    fn found(rabbit: &str, qpid: &str) -> Vec<String> {
        amqp_crates_share_no_lines(&sources(&[
            ("crates/notify-rabbit/src/a.rs", rabbit),
            ("crates/notify-qpid/tests/b.rs", qpid),
        ]))
    }

    #[test]
    fn six_alike_lines_are_reported_once() {
        let rabbit = "x\n1\n2\n\n3\n4\n5\n6\n7\ny";
        let place = "are also in crates/notify-rabbit/src/a.rs:2";
        assert_eq!(
            found(rabbit, "z\n\n  1\n  2\n  3\n4\n5\n6\n7\n"),
            [format!("crates/notify-qpid/tests/b.rs:3: 7 lines {place}")]
        );
        assert_eq!(found(rabbit, "1\n2\n3\n4\n5\nz\n6\n7\ny"), [""; 0]);
    }

    #[test]
    fn an_allowed_run_is_accepted() {
        let run = "async fn stall(&mut self) {\n1\n}\nasync fn resume(&mut self) {\n2\n}\n";
        assert_eq!(found(run, run), [""; 0]);
    }
}
