//! The spool: what it takes, against a disk alone, and how soon it is there again.

use anyhow::Result;

use super::{BATCH, Bench};
use crate::contest::Contender;
use crate::table::{Row, Want};
use crate::task::{Outcome, Task};

impl Bench {
    pub(super) fn spool(&mut self) -> Result<()> {
        let task = |messages| Task { window: BATCH, ..self.task(messages) };
        let contenders = [
            Contender::rust("spool, nothing forwarded", "spool-accept", task(200_000)),
            Contender::rust("spool, everything forwarded", "spool-forward", task(200_000)),
            Contender::rust("append + fdatasync", "spool-append", task(200_000)),
        ];
        let contested = self.contest("batches that a spool takes", &contenders, || {})?;
        let rates: Vec<_> = contested.iter().map(|c| c.each(Outcome::rate)).collect();
        let beside =
            |name, ours| Row::beside(name, "msg/s", ours, &rates[2], Want::RatioAtLeast(0.334));
        self.rows.extend([
            beside("spool / append + fdatasync", &rates[0]),
            beside("spool, everything forwarded / append + fdatasync", &rates[1]),
        ]);

        let task = Task { window: BATCH, ..self.task(100_000) };
        let contenders = [Contender::rust("reopening", "spool-reopen", task)];
        let contested = self.contest("a spool of 100 000 messages", &contenders, || {})?;
        let milliseconds = contested[0].each(|outcome| outcome.seconds * 1e3);
        let name = "reopening a spool of 100 000 messages";
        self.rows.push(Row::alone(name, "ms", &milliseconds, Want::Nothing));
        Ok(())
    }
}
