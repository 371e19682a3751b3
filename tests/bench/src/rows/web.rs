//! The web pages of an archive: the first page of a search.

use anyhow::Result;

use super::BenchRun;
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};

impl BenchRun {
    pub(super) fn web(&mut self) -> Result<()> {
        let mut task = self.task(self.archive_events);
        task.window = 1000;
        let candidates = [
            Candidate::rust("the page", "web-search", task.clone()),
            Candidate::rust("rusqlite by hand", "web-search-hand", task),
        ]
        .map(Candidate::with_long_timeout);
        let results = self.compare("the first page of a search", &candidates, || {})?;
        let milliseconds =
            |index: usize| results[index].per_round(|m| m.seconds * 1e3 / m.messages);
        self.rows.push(ResultRow::with_peer(
            "web, first page of a search / SQLite",
            "ms",
            &milliseconds(0),
            &milliseconds(1),
            RowGoal::RatioAtMost(3.0),
        ));
        Ok(())
    }
}
