//! The cost of suppressed notifications.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::BenchRun;
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};
use crate::task::Measurement;

impl BenchRun {
    pub(super) fn noop(&mut self) -> Result<()> {
        let candidates = [
            Candidate::rust("emit on noop", "noop-emit", self.task(20_000_000)),
            Candidate::rust("enabled() is false", "noop-enabled", self.task(50_000_000)),
            Candidate::rust("a disabled log::info!", "log-disabled", self.task(50_000_000)),
            Candidate::oslo("oslo.messaging on noop", "noop", self.task(100_000)),
        ];
        let results = self.compare("suppressed notifications", &candidates, || {})?;
        let times: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::cpu_per_message)).collect();
        let [emit, enabled, log, oslo] = times.as_slice() else {
            unreachable!("there are four candidates")
        };
        let allocations = count_allocations()?;
        let row = |name, ours, peer, goal| ResultRow::with_peer(name, "ns", ours, peer, goal);
        self.rows.extend([
            row("emit on noop / disabled log::info!", emit, log, RowGoal::OursAtMost(10.0)),
            row("enabled() false / disabled log::info!", enabled, log, RowGoal::OursAtMost(10.0)),
            ResultRow::alone(
                "allocations of emit on noop",
                "allocations",
                &[allocations],
                RowGoal::OursAtMost(0.0),
            ),
            row("oslo.messaging on noop / emit on noop", oslo, emit, RowGoal::RatioAtLeast(500.0)),
        ]);
        Ok(())
    }
}

/// Counts the allocations of a thousand suppressed notifications, in another program.
fn count_allocations() -> Result<f64> {
    let program = std::env::current_exe()?.with_file_name("allocations");
    let output = Command::new(&program).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{} failed", program.display());
    let printed = String::from_utf8_lossy(&output.stdout);
    let count = printed.trim().parse();
    count.with_context(|| format!("{} printed no number: {printed}", program.display()))
}
