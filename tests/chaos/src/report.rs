//! What came of a run: a line for each round, a table for all of them.

use std::time::Duration;

use crate::ledger::Totals;
use crate::plan::Round;
use crate::resources::Resources;

/// What came of all rounds with one fault, or of one of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    /// How often the fault was there.
    pub(crate) tries: u64,
    pub(crate) issued: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicated: u64,
    pub(crate) lost: u64,
    pub(crate) longest_pause: Duration,
}

impl Row {
    /// What happened between two readings of the books.
    pub(crate) fn between(before: Totals, after: Totals, tries: u64, lost: u64) -> Self {
        Self {
            tries,
            lost,
            issued: after.issued - before.issued,
            accepted: after.accepted - before.accepted,
            delivered: after.delivered - before.delivered,
            duplicated: after.duplicated - before.duplicated,
            longest_pause: after.longest_pause,
        }
    }

    fn add(&mut self, other: &Self) {
        self.tries += other.tries;
        self.issued += other.issued;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.duplicated += other.duplicated;
        self.lost += other.lost;
        self.longest_pause = self.longest_pause.max(other.longest_pause);
    }

    fn cells(&self) -> String {
        let Self { tries, issued, accepted, delivered, duplicated, lost, longest_pause } = self;
        let pause = longest_pause.as_secs_f64();
        format!(
            "{tries} | {issued} | {accepted} | {delivered} | {duplicated} | {lost} | {pause:.1} s"
        )
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, Row)>,
    problems: Vec<String>,
    rounds: usize,
}

impl Report {
    /// Adds a round and prints its line.
    pub(crate) fn round(&mut self, place: &str, round: &Round, row: Row, held: Option<Resources>) {
        let held = held.map_or_else(String::new, |held| format!(" | {held}"));
        println!("{place}: {round} | {}{held}", row.cells());
        let label = match round.faults.as_slice() {
            [alone] => alone.fault.name(),
            _ => "several at once",
        };
        self.rounds += 1;
        self.row(label, row);
    }

    /// Adds to the row of a fault.
    pub(crate) fn row(&mut self, label: &str, row: Row) {
        if let Some((_, known)) = self.rows.iter_mut().find(|(known, _)| known == label) {
            known.add(&row);
        } else {
            self.rows.push((label.to_owned(), row));
        }
    }

    /// Adds and prints what is wrong.
    pub(crate) fn problems(&mut self, place: &str, problems: Vec<String>) {
        for problem in problems {
            println!("{place}: WRONG: {problem}");
            self.problems.push(problem);
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Prints the table.
    pub(crate) fn print(&mut self) {
        println!();
        println!(
            "| fault | tries | issued | accepted | delivered | duplicated | lost | longest pause |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        self.rows.sort_by_key(|(label, _)| (label == "several at once", label.clone()));
        let mut all = Row::default();
        for (label, row) in &self.rows {
            println!("| {label} | {} |", row.cells());
            all.add(row);
        }
        println!("| all | {} |", all.cells());
        println!("\n{} rounds, {} problems", self.rounds, self.problems.len());
    }
}
