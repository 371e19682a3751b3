//! The table of all rows: our numbers beside the numbers of a peer.

use glance_notify::codec::serde_json::{Value, json};

use crate::results::CandidateResults;
use crate::statistics::SampleSeries;
use crate::task::Measurement;

/// One row: a number of ours, the same number of a peer, and the goal.
pub(crate) struct ResultRow {
    name: String,
    unit: &'static str,
    ours: SampleSeries,
    peer: Option<SampleSeries>,
    ratio: Option<SampleSeries>,
    goal: RowGoal,
}

/// The goal of a row.
#[derive(Clone, Copy)]
pub(crate) enum RowGoal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    OursAtMost(f64),
    /// No goal. The row is only informative.
    None,
}

impl ResultRow {
    /// Creates a row with a peer, from one number per round. Its ratio is the median of the ratios
    /// of the rounds.
    pub(crate) fn with_peer(
        name: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        peer: &[f64],
        goal: RowGoal,
    ) -> Self {
        let ratios = ours.iter().zip(peer).map(|(ours, peer)| ours / peer);
        Self {
            name: name.into(),
            unit,
            ratio: Some(SampleSeries::new(ratios)),
            ours: SampleSeries::new(ours.iter().copied()),
            peer: Some(SampleSeries::new(peer.iter().copied())),
            goal,
        }
    }

    /// Creates a row without a peer, from one number per round.
    pub(crate) fn alone(
        name: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        goal: RowGoal,
    ) -> Self {
        let ours = SampleSeries::new(ours.iter().copied());
        Self { name: name.into(), unit, ours, peer: None, ratio: None, goal }
    }

    /// Returns whether the row reaches its goal.
    pub(crate) fn reaches_goal(&self) -> bool {
        let ratio = || self.ratio.as_ref().map_or(f64::NAN, SampleSeries::median);
        match self.goal {
            RowGoal::RatioAtLeast(least) => ratio() >= least,
            RowGoal::RatioAtMost(most) => ratio() <= most,
            RowGoal::OursAtMost(most) => self.ours.median() <= most,
            RowGoal::None => true,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "ours": self.ours.median(),
            "peer": self.peer.as_ref().map(SampleSeries::median),
            "unit": self.unit,
            "ratio": self.ratio.as_ref().map(SampleSeries::median),
            "want": self.goal.to_string(),
            "reached": self.reaches_goal(),
        })
    }
}

impl std::fmt::Display for RowGoal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RatioAtLeast(least) => write!(f, "ratio >= {least}"),
            Self::RatioAtMost(most) => write!(f, "ratio <= {most}"),
            Self::OursAtMost(most) => write!(f, "ours <= {most}"),
            Self::None => f.write_str("nothing"),
        }
    }
}

/// Returns the rows as `--json` prints them.
pub(crate) fn to_json(rows: &[ResultRow]) -> Value {
    json!({"rows": rows.iter().map(ResultRow::to_json).collect::<Vec<_>>()})
}

/// Prints the rows: medians, with the lowest and the highest number in brackets, and a mark on rows
/// that miss their goal.
pub(crate) fn print(rows: &[ResultRow]) {
    let series = |series: &Option<SampleSeries>| {
        series.as_ref().map_or(String::new(), SampleSeries::to_string)
    };
    println!(
        "{:60} {:>26} {:>26} {:10} {:>22}  {:14}",
        "", "ours", "peer", "unit", "ratio", "goal"
    );
    for row in rows {
        let ResultRow { name, unit, ours, peer, ratio, goal } = row;
        let mark = if row.reaches_goal() { "" } else { "  << MISSED" };
        println!(
            "{name:60} {:>26} {:>26} {unit:10} {:>22}  {:14}{mark}",
            ours.to_string(),
            series(peer),
            series(ratio),
            goal.to_string()
        );
    }
    let missed = rows.iter().filter(|row| !row.reaches_goal()).count();
    println!("{} rows, {missed} missed their goal", rows.len());
}

/// Prints the rate, the processor time and the memory of every candidate of a comparison.
pub(crate) fn print_results(title: &str, results: &[CandidateResults]) {
    eprintln!("\n{title}");
    eprintln!(
        "  {:48} {:>28} {:>24} {:>10}",
        "", "messages per second", "CPU each, us", "peak, MiB"
    );
    for CandidateResults { label, measurements } in results {
        let series =
            |number: fn(&Measurement) -> f64| SampleSeries::new(measurements.iter().map(number));
        let peak = series(|measurement| measurement.peak / 1024.0 / 1024.0);
        eprintln!(
            "  {label:48} {:>28} {:>24} {:>10.1}",
            series(Measurement::rate).to_string(),
            series(|measurement| measurement.cpu_per_message() / 1000.0).to_string(),
            peak.highest()
        );
    }
}
