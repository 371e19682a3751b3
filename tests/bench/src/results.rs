//! The measurements of one candidate.

use crate::task::Measurement;

/// The measurements of one candidate in a comparison.
pub(crate) struct CandidateResults {
    pub(crate) label: &'static str,
    /// One measurement per round.
    pub(crate) measurements: Vec<Measurement>,
}

impl CandidateResults {
    /// Returns one number per round.
    pub(crate) fn per_round(&self, number: impl Fn(&Measurement) -> f64) -> Vec<f64> {
        self.measurements.iter().map(number).collect()
    }
}
