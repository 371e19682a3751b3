//! The spool: its rate beside that of a bare disk, and the time to open it again.

use anyhow::Result;

use super::{BATCH, BenchRun};
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn spool(&mut self) -> Result<()> {
        let task = |messages| BenchTask { window: BATCH, ..self.task(messages) };
        let candidates = [
            Candidate::rust("spool, nothing forwarded", "spool-accept", task(200_000)),
            Candidate::rust("spool, everything forwarded", "spool-forward", task(200_000)),
            Candidate::rust("append + fdatasync", "spool-append", task(200_000)),
        ];
        let results = self.compare("batches to a spool", &candidates, || {})?;
        let rates: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::rate)).collect();
        let row = |name, ours| {
            ResultRow::with_peer(name, "msg/s", ours, &rates[2], RowGoal::RatioAtLeast(0.334))
        };
        self.rows.extend([
            row("spool / append + fdatasync", &rates[0]),
            row("spool, everything forwarded / append + fdatasync", &rates[1]),
        ]);

        let task = BenchTask { window: BATCH, ..self.task(100_000) };
        let candidates = [Candidate::rust("reopening", "spool-reopen", task)];
        let results = self.compare("a spool of 100 000 messages", &candidates, || {})?;
        let milliseconds = results[0].per_round(|measurement| measurement.seconds * 1e3);
        let name = "reopening a spool of 100 000 messages";
        self.rows.push(ResultRow::alone(name, "ms", &milliseconds, RowGoal::None));
        Ok(())
    }
}
