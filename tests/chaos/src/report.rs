//! The report of a run: a line for each round, and a table of all faults.

use std::time::Duration;

use crate::journal::DeliveryTotals;
use crate::plan::FaultRound;
use crate::resources::ProcessResources;

/// The results of one round, or of all rounds with one fault.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReportRow {
    /// The number of times that the fault occurred.
    pub(crate) tries: u64,
    pub(crate) issued: u64,
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) duplicated: u64,
    pub(crate) lost: u64,
    pub(crate) longest_pause: Duration,
}

impl ReportRow {
    /// Creates the row for the time between two readings of the totals.
    pub(crate) fn between(
        before: DeliveryTotals,
        after: DeliveryTotals,
        tries: u64,
        lost: u64,
    ) -> Self {
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

/// The results of a run.
#[derive(Debug, Default)]
pub(crate) struct ChaosReport {
    rows: Vec<(String, ReportRow)>,
    problems: Vec<String>,
    rounds: usize,
}

impl ChaosReport {
    /// Adds a round and prints its line.
    pub(crate) fn add_round(
        &mut self,
        trial: &str,
        round: &FaultRound,
        row: ReportRow,
        resources: Option<ProcessResources>,
    ) {
        let resources = resources.map_or_else(String::new, |resources| format!(" | {resources}"));
        println!("{trial}: {round} | {}{resources}", row.cells());
        let label = match round.faults.as_slice() {
            [alone] => alone.fault.name(),
            _ => SEVERAL,
        };
        self.rounds += 1;
        self.add_row(label, row);
    }

    /// Adds `row` to the row of a fault.
    pub(crate) fn add_row(&mut self, label: &str, row: ReportRow) {
        if let Some((_, known)) = self.rows.iter_mut().find(|(known, _)| known == label) {
            known.add(&row);
        } else {
            self.rows.push((label.to_owned(), row));
        }
    }

    /// Adds problems and prints them.
    pub(crate) fn add_problems(&mut self, trial: &str, problems: Vec<String>) {
        for problem in problems {
            println!("{trial}: PROBLEM: {problem}");
            self.problems.push(problem);
        }
    }

    /// Returns whether the run found no problem.
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
        self.rows.sort_by_key(|(label, _)| (label == SEVERAL, label.clone()));
        let mut all = ReportRow::default();
        for (label, row) in &self.rows {
            println!("| {label} | {} |", row.cells());
            all.add(row);
        }
        println!("| all | {} |", all.cells());
        println!("\n{} rounds, {} problems", self.rounds, self.problems.len());
    }
}

/// The label of rounds with several faults.
const SEVERAL: &str = "several at once";
