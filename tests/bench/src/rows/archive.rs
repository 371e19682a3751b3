//! The archive: filling it, asking it, and its size.

use anyhow::Result;

use super::BenchRun;
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn archive(&mut self) -> Result<()> {
        let task = BenchTask { window: 1000, ..self.task(self.archive_events) };
        let mut pair =
            |name: &str, candidates: [&'static str; 2], goal, number: fn(&Measurement) -> f64| {
                let candidates = [
                    Candidate::rust("the archive", candidates[0], task.clone()),
                    Candidate::rust("rusqlite by hand", candidates[1], task.clone()),
                ]
                .map(Candidate::with_long_timeout);
                let is_question = matches!(goal, RowGoal::RatioAtMost(_));
                if is_question {
                    // Both find the file in the system's memory.
                    candidates.iter().try_for_each(Candidate::prepare)?;
                }
                let results = self.compare(name, &candidates, || {})?;
                let (ours, peer) = (results[0].per_round(number), results[1].per_round(number));
                let unit = if is_question { "ms" } else { "msg/s" };
                self.rows.push(ResultRow::with_peer(name, unit, &ours, &peer, goal));
                Ok::<_, anyhow::Error>(())
            };
        let milliseconds = |measurement: &Measurement| measurement.seconds * 1e3;
        let least = RowGoal::RatioAtLeast(0.7);
        pair(
            "archive, ingest from a file / rusqlite loop",
            ["archive-ingest", "archive-ingest-hand"],
            least,
            Measurement::rate,
        )?;
        let most = RowGoal::RatioAtMost(3.0);
        pair(
            "archive, 200 lives of images / SQLite",
            ["archive-life", "archive-life-hand"],
            most,
            milliseconds,
        )?;
        pair(
            "archive, a month's transfers / SQLite",
            ["archive-transfers", "archive-transfers-hand"],
            most,
            milliseconds,
        )?;

        let tenth = BenchTask { messages: task.messages / 10, ..task.clone() };
        let candidates = [
            Candidate::rust("the service", "archive-service", task.clone()),
            Candidate::rust("a tenth of the events", "archive-service", tenth),
        ]
        .map(Candidate::with_long_timeout);
        let results = self.compare("the memory of the service", &candidates, || {})?;
        let mebibytes = |measurement: &Measurement| measurement.peak / f64::from(1 << 20);
        // A small archive does not fill the page cache.
        let is_large = self.archive_events >= 1_000_000;
        let goal = if is_large { RowGoal::RatioAtMost(1.2) } else { RowGoal::None };
        self.rows.push(ResultRow::with_peer(
            "archive, memory of the service / a tenth of the events",
            "MiB",
            &results[0].per_round(mebibytes),
            &results[1].per_round(mebibytes),
            goal,
        ));

        let candidates = [Candidate::rust("the archive", "archive-size", task).with_long_timeout()];
        let results = self.compare("the size of the archive", &candidates, || {})?;
        let (stored, bodies) = (
            results[0].per_round(|measurement| measurement.series[0]),
            results[0].per_round(|measurement| measurement.series[1]),
        );
        let goal = RowGoal::RatioAtMost(2.0);
        self.rows.push(ResultRow::with_peer(
            "archive, bytes per event / body",
            "bytes",
            &stored,
            &bodies,
            goal,
        ));
        Ok(())
    }
}
