//! Comparisons: every candidate runs once in each round, and each round starts with another
//! candidate. So a disturbance of the machine affects all candidates alike.

use anyhow::Result;

use crate::candidate::Candidate;
use crate::results::CandidateResults;
use crate::table::print_results;

/// Compares the candidates in a number of rounds, and prints the results.
///
/// `before` runs before every candidate, to reset the broker that they share.
///
/// # Errors
///
/// When a candidate fails.
pub(crate) fn compare(
    rounds: usize,
    title: &str,
    candidates: &[Candidate],
    before: impl Fn(),
) -> Result<Vec<CandidateResults>> {
    let before = || {
        before();
        Ok(())
    };
    try_compare(rounds, title, candidates, before)
}

/// Compares the candidates as [`compare`] does, with a `before` that can fail.
///
/// # Errors
///
/// When `before` or a candidate fails.
pub(crate) fn try_compare(
    rounds: usize,
    title: &str,
    candidates: &[Candidate],
    before: impl Fn() -> Result<()>,
) -> Result<Vec<CandidateResults>> {
    let mut results: Vec<_> = candidates
        .iter()
        .map(|candidate| CandidateResults { label: candidate.label, measurements: Vec::new() })
        .collect();
    for round in 0..rounds {
        for turn in 0..candidates.len() {
            let index = (round + turn) % candidates.len();
            before()?;
            results[index].measurements.push(candidates[index].run()?);
        }
    }
    print_results(title, &results);
    Ok(results)
}
