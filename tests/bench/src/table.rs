//! Rows of numbers beside those of a peer, and how they are shown.

use glance_notify::codec::serde_json::{Value, json};

use crate::contest::Contested;
use crate::task::Outcome;

/// One thing that was measured, and what was to be reached.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    ours: Series,
    peer: Option<Series>,
    ratio: Option<Series>,
    want: Want,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    OursAtMost(f64),
    /// It is only shown.
    Nothing,
}

impl Row {
    /// Ours beside a peer's, a number for each round: the ratio is the median of the rounds' ratios.
    pub(crate) fn beside(
        name: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        peer: &[f64],
        want: Want,
    ) -> Self {
        let ratios = ours.iter().zip(peer).map(|(ours, peer)| ours / peer);
        Self {
            name: name.into(),
            unit,
            ratio: Some(Series::new(ratios)),
            ours: Series::new(ours.iter().copied()),
            peer: Some(Series::new(peer.iter().copied())),
            want,
        }
    }

    /// Ours alone, a number for each round.
    pub(crate) fn alone(
        name: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        want: Want,
    ) -> Self {
        let ours = Series::new(ours.iter().copied());
        Self { name: name.into(), unit, ours, peer: None, ratio: None, want }
    }

    pub(crate) fn reached(&self) -> bool {
        let ratio = || self.ratio.as_ref().map_or(f64::NAN, Series::median);
        match self.want {
            Want::RatioAtLeast(least) => ratio() >= least,
            Want::RatioAtMost(most) => ratio() <= most,
            Want::OursAtMost(most) => self.ours.median() <= most,
            Want::Nothing => true,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "ours": self.ours.median(),
            "peer": self.peer.as_ref().map(Series::median),
            "unit": self.unit,
            "ratio": self.ratio.as_ref().map(Series::median),
            "want": self.want.to_string(),
            "reached": self.reached(),
        })
    }
}

impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RatioAtLeast(least) => write!(f, "ratio >= {least}"),
            Self::RatioAtMost(most) => write!(f, "ratio <= {most}"),
            Self::OursAtMost(most) => write!(f, "ours <= {most}"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// As the option `--json` prints them.
pub(crate) fn to_json(rows: &[Row]) -> Value {
    json!({"rows": rows.iter().map(Row::to_json).collect::<Vec<_>>()})
}

/// Rows for people: medians, in brackets the lowest and the highest, and a mark where one is short.
pub(crate) fn print(rows: &[Row]) {
    let series = |series: &Option<Series>| series.as_ref().map_or(String::new(), Series::to_string);
    println!(
        "{:60} {:>26} {:>26} {:10} {:>22}  {:14}",
        "", "ours", "peer", "unit", "ratio", "want"
    );
    for row in rows {
        let Row { name, unit, ours, peer, ratio, want } = row;
        let mark = if row.reached() { "" } else { "  << SHORT" };
        println!(
            "{name:60} {:>26} {:>26} {unit:10} {:>22}  {:14}{mark}",
            ours.to_string(),
            series(peer),
            series(ratio),
            want.to_string()
        );
    }
    let short = rows.iter().filter(|row| !row.reached()).count();
    println!("{} rows, {short} short", rows.len());
}

/// Every contender of one contest: rate, processor time and memory.
pub(crate) fn print_contested(title: &str, contested: &[Contested]) {
    eprintln!("\n{title}");
    eprintln!(
        "  {:48} {:>28} {:>24} {:>10}",
        "", "messages per second", "CPU each, us", "peak, MiB"
    );
    for Contested { label, outcomes } in contested {
        let series = |number: fn(&Outcome) -> f64| Series::new(outcomes.iter().map(number));
        let peak = series(|outcome| outcome.peak / 1024.0 / 1024.0);
        eprintln!(
            "  {label:48} {:>28} {:>24} {:>10.1}",
            series(Outcome::rate).to_string(),
            series(|outcome| outcome.cpu_each() / 1000.0).to_string(),
            peak.highest()
        );
    }
}

/// Numbers in ascending order; not none.
struct Series(Vec<f64>);

impl Series {
    fn new(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn highest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", short(self.median()))?;
        if self.0.len() > 1 {
            write!(f, " ({}–{})", short(self.0[0]), short(self.highest()))?;
        }
        Ok(())
    }
}

/// Three digits that count.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        1000.0.. => format!("{number:.0}"),
        100.0.. => format!("{number:.1}"),
        10.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
