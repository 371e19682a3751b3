//! Statistics of the rounds.

/// The numbers of several rounds, in ascending order. There is at least one.
pub(crate) struct SampleSeries(Vec<f64>);

impl SampleSeries {
    pub(crate) fn new(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn highest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}

impl std::fmt::Display for SampleSeries {
    /// Writes the median, and the lowest and the highest number in brackets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", short(self.median()))?;
        if self.0.len() > 1 {
            write!(f, " ({}–{})", short(self.0[0]), short(self.highest()))?;
        }
        Ok(())
    }
}

/// Returns a quantile of `seconds`, which may have any order, in microseconds.
pub(crate) fn quantile_micros(seconds: &[f64], part: f64) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length is an index"
    )]
    let index = (sorted.len() as f64 * part) as usize;
    sorted[index.min(sorted.len() - 1)] * 1e6
}

/// Writes a number with about four significant digits.
fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        1000.0.. => format!("{number:.0}"),
        100.0.. => format!("{number:.1}"),
        10.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
