//! Lines in a file: the limit of one thread, and what others write.

use anyhow::Result;

use super::{BATCH, Bench};
use crate::contest::Contender;
use crate::table::{Row, Want};
use crate::task::{Outcome, Task};

impl Bench {
    pub(super) fn log(&mut self) -> Result<()> {
        let ours = Task { config: self.log_config(false), ..self.task(500_000) };
        let contenders = [
            Contender::rust("notifier to log", "deliver", ours),
            Contender::rust("one thread, BufWriter", "write-encoded", self.task(500_000)),
            Contender::rust("one thread, serde_json", "write-serde", self.task(500_000)),
            Contender::rust("tracing-appender", "tracing-appender", self.task(100_000)),
            Contender::oslo("oslo.messaging's log driver", "log", self.task(5_000)),
        ];
        let contested = self.contest("notifier to log, sync = false", &contenders, || {})?;
        let rates: Vec<_> = contested.iter().map(|c| c.each(Outcome::rate)).collect();
        let [ours, limit, serde, tracing, oslo] = rates.as_slice() else {
            unreachable!("five contend")
        };
        let beside =
            |name, peer, least| Row::beside(name, "msg/s", ours, peer, Want::RatioAtLeast(least));
        self.rows.extend([
            beside("notifier to log / one thread, BufWriter", limit, 0.9),
            beside("notifier to log / one thread, serde_json, BufWriter", serde, 0.5),
            beside("notifier to log / tracing-appender", tracing, 4.0),
            beside("notifier to log / oslo.messaging's log driver", oslo, 80.0),
        ]);
        self.log_synced()
    }

    fn log_synced(&mut self) -> Result<()> {
        let ours = Task { config: self.log_config(true), ..self.task(50_000) };
        let contenders = [
            Contender::rust("notifier to log, synced", "deliver", ours),
            Contender::rust(
                "append + fdatasync",
                "append-sync",
                Task { window: BATCH, ..self.task(50_000) },
            ),
        ];
        let contested = self.contest("notifier to log, sync = true", &contenders, || {})?;
        let rates: Vec<_> = contested.iter().map(|c| c.each(Outcome::rate)).collect();
        let name = "notifier to log, synced / append + fdatasync";
        self.rows.push(Row::beside(name, "msg/s", &rates[0], &rates[1], Want::RatioAtLeast(0.8)));
        Ok(())
    }

    pub(super) fn tasks(&mut self) -> Result<()> {
        let task =
            |emitters| Task { config: self.log_config(false), emitters, ..self.task(256_000) };
        let contenders = [
            Contender::rust("1 emitting task", "deliver-tasks", task(1)),
            Contender::rust("8 emitting tasks", "deliver-tasks", task(8)),
            Contender::rust("64 emitting tasks", "deliver-tasks", task(64)),
        ];
        let contested = self.contest("emitting tasks", &contenders, || {})?;
        let each: Vec<_> = contested.iter().map(|c| c.each(Outcome::cpu_each)).collect();
        for (name, many) in
            [("8 emitting tasks / 1", &each[1]), ("64 emitting tasks / 1", &each[2])]
        {
            self.rows.push(Row::beside(name, "ns CPU", many, &each[0], Want::RatioAtMost(1.2)));
        }
        Ok(())
    }
}
