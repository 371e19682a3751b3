//! The cost of encoding a notification, of a whole `emit`, and of decoding.

use anyhow::Result;

use super::BenchRun;
use crate::candidate::Candidate;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn encoding(&mut self) -> Result<()> {
        let config = format!("{}\n{LARGE_QUEUE}", self.log_config(false));
        let emit = BenchTask { config, ..self.task(200_000) };
        let candidates = [
            Candidate::rust("encoding, unredacted", "encode-unredacted", self.task(500_000)),
            Candidate::rust("encoding, default redaction", "encode", self.task(500_000)),
            Candidate::rust("serde_json, one struct", "encode-serde", self.task(500_000)),
            Candidate::rust("emit to log, receipts dropped", "emit", emit),
        ];
        let results = self.compare("encoding", &candidates, || {})?;
        let times: Vec<_> = results
            .iter()
            .map(|results| results.per_round(Measurement::emitter_cpu_per_message))
            .collect();
        let [unredacted, redacted, serde, emit] = times.as_slice() else {
            unreachable!("there are four candidates")
        };
        let row = |name, ours, peer, most| {
            ResultRow::with_peer(name, "ns", ours, peer, RowGoal::RatioAtMost(most))
        };
        self.rows.extend([
            row("encoding, unredacted / serde_json", unredacted, serde, 1.5),
            row("encoding, default redaction / serde_json", redacted, serde, 2.0),
            row("emit in the caller's thread / encoding", emit, redacted, 1.6),
        ]);
        Ok(())
    }

    pub(super) fn decoding(&mut self) -> Result<()> {
        let candidates = [
            Candidate::rust("decoding, with the facts", "decode", self.task(300_000)),
            Candidate::rust("serde_json, typed structs", "decode-serde", self.task(300_000)),
        ];
        let results = self.compare("decoding", &candidates, || {})?;
        let [ours, serde] = results.as_slice() else { unreachable!("there are two candidates") };
        let time = Measurement::emitter_cpu_per_message;
        let (ours, serde) = (ours.per_round(time), serde.per_round(time));
        let (name, goal) = ("decoding, with the facts / serde_json", RowGoal::RatioAtMost(1.5));
        self.rows.push(ResultRow::with_peer(name, "ns", &ours, &serde, goal));
        Ok(())
    }

    /// Returns a configuration of the strategy `log`.
    pub(crate) fn log_config(&self, sync: bool) -> String {
        let file = self.task(0).file;
        format!(
            "strategy = \"log\"\npublisher_id = \"image.host1\"\n\
             log = {{ file = \"{}\", sync = {sync} }}",
            file.display()
        )
    }
}

/// A queue with room for all messages of a task.
const LARGE_QUEUE: &str = "queue = { max_messages = 1_000_000, max_bytes = 2_000_000_000 }";
