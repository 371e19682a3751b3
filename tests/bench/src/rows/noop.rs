//! What a notification costs that nobody wants.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Bench;
use crate::contest::Contender;
use crate::table::{Row, Want};
use crate::task::Outcome;

impl Bench {
    pub(super) fn noop(&mut self) -> Result<()> {
        let contenders = [
            Contender::rust("emit on noop", "noop-emit", self.task(20_000_000)),
            Contender::rust("enabled() is false", "noop-enabled", self.task(50_000_000)),
            Contender::rust("a disabled log::info!", "log-disabled", self.task(50_000_000)),
            Contender::oslo("oslo.messaging on noop", "noop", self.task(100_000)),
        ];
        let contested = self.contest("notifications that nobody wants", &contenders, || {})?;
        let each: Vec<_> = contested.iter().map(|c| c.each(Outcome::cpu_each)).collect();
        let [emit, enabled, log, oslo] = each.as_slice() else { unreachable!("four contend") };
        let allocations = allocations()?;
        let beside = |name, ours, peer, want| Row::beside(name, "ns", ours, peer, want);
        self.rows.extend([
            beside("emit on noop / disabled log::info!", emit, log, Want::OursAtMost(10.0)),
            beside("enabled() false / disabled log::info!", enabled, log, Want::OursAtMost(10.0)),
            Row::alone(
                "allocations of emit on noop",
                "allocations",
                &[allocations],
                Want::OursAtMost(0.0),
            ),
            beside("oslo.messaging on noop / emit on noop", oslo, emit, Want::RatioAtLeast(500.0)),
        ]);
        Ok(())
    }
}

/// What a thousand calls of each allocate.
fn allocations() -> Result<f64> {
    let program = std::env::current_exe()?.with_file_name("allocations");
    let counted = Command::new(&program).output();
    let counted = counted.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(counted.status.success(), "{} failed", program.display());
    let counted = String::from_utf8_lossy(&counted.stdout);
    counted.trim().parse().with_context(|| format!("no number of allocations: {counted}"))
}
