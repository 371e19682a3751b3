//! Lines in a file: the notifier, the limit of one thread, and other libraries.

use anyhow::Result;

use super::{BATCH, BenchRun};
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn log(&mut self) -> Result<()> {
        let ours = BenchTask { config: self.log_config(false), ..self.task(500_000) };
        let candidates = [
            Candidate::rust("notifier to log", "deliver", ours),
            Candidate::rust("one thread, BufWriter", "write-encoded", self.task(500_000)),
            Candidate::rust("one thread, serde_json", "write-serde", self.task(500_000)),
            Candidate::rust("tracing-appender", "tracing-appender", self.task(100_000)),
            Candidate::oslo("oslo.messaging's log driver", "log", self.task(5_000)),
        ];
        let results = self.compare("notifier to log, sync = false", &candidates, || {})?;
        let rates: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::rate)).collect();
        let [ours, limit, serde, tracing, oslo] = rates.as_slice() else {
            unreachable!("there are five candidates")
        };
        let row = |name, peer, least| {
            ResultRow::with_peer(name, "msg/s", ours, peer, RowGoal::RatioAtLeast(least))
        };
        self.rows.extend([
            row("notifier to log / one thread, BufWriter", limit, 0.9),
            row("notifier to log / one thread, serde_json, BufWriter", serde, 0.5),
            row("notifier to log / tracing-appender", tracing, 4.0),
            row("notifier to log / oslo.messaging's log driver", oslo, 80.0),
        ]);
        self.log_with_sync()
    }

    fn log_with_sync(&mut self) -> Result<()> {
        let ours = BenchTask { config: self.log_config(true), ..self.task(50_000) };
        let append = BenchTask { window: BATCH, ..self.task(50_000) };
        let candidates = [
            Candidate::rust("notifier to log, synced", "deliver", ours),
            Candidate::rust("append + fdatasync", "append-sync", append),
        ];
        let results = self.compare("notifier to log, sync = true", &candidates, || {})?;
        let rates: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::rate)).collect();
        let name = "notifier to log, synced / append + fdatasync";
        let goal = RowGoal::RatioAtLeast(0.8);
        self.rows.push(ResultRow::with_peer(name, "msg/s", &rates[0], &rates[1], goal));
        Ok(())
    }

    pub(super) fn tasks(&mut self) -> Result<()> {
        let task =
            |emitters| BenchTask { config: self.log_config(false), emitters, ..self.task(256_000) };
        let candidates = [
            Candidate::rust("1 emitting task", "deliver-tasks", task(1)),
            Candidate::rust("8 emitting tasks", "deliver-tasks", task(8)),
            Candidate::rust("64 emitting tasks", "deliver-tasks", task(64)),
        ];
        let results = self.compare("emitting tasks", &candidates, || {})?;
        let times: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::cpu_per_message)).collect();
        for (name, many) in
            [("8 emitting tasks / 1", &times[1]), ("64 emitting tasks / 1", &times[2])]
        {
            let goal = RowGoal::RatioAtMost(1.2);
            self.rows.push(ResultRow::with_peer(name, "ns CPU", many, &times[0], goal));
        }
        Ok(())
    }
}
