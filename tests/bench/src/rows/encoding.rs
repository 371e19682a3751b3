//! What a notification costs until it is a message, and until `emit` returns.

use anyhow::Result;

use super::Bench;
use crate::contest::Contender;
use crate::table::{Row, Want};
use crate::task::{Outcome, Task};

impl Bench {
    pub(super) fn encoding(&mut self) -> Result<()> {
        let emit =
            Task { config: format!("{}\n{ROOM}", self.log_config(false)), ..self.task(200_000) };
        let contenders = [
            Contender::rust("encoding, unredacted", "encode-unredacted", self.task(500_000)),
            Contender::rust("encoding, default redaction", "encode", self.task(500_000)),
            Contender::rust("serde_json, one struct", "encode-serde", self.task(500_000)),
            Contender::rust("emit to log, receipts dropped", "emit", emit),
        ];
        let contested = self.contest("encoding", &contenders, || {})?;
        let each: Vec<_> = contested.iter().map(|c| c.each(Outcome::emitter_cpu_each)).collect();
        let [unredacted, redacted, serde, emit] = each.as_slice() else {
            unreachable!("four contend")
        };
        let beside =
            |name, ours, peer, most| Row::beside(name, "ns", ours, peer, Want::RatioAtMost(most));
        self.rows.extend([
            beside("encoding, unredacted / serde_json", unredacted, serde, 1.1),
            beside("encoding, default redaction / serde_json", redacted, serde, 1.5),
            beside("emit in the caller's thread / encoding", emit, redacted, 1.6),
        ]);
        Ok(())
    }

    /// The strategy log.
    pub(crate) fn log_config(&self, sync: bool) -> String {
        let file = self.task(0).file;
        format!(
            "strategy = \"log\"\npublisher_id = \"image.host1\"\n\
             log = {{ file = \"{}\", sync = {sync} }}",
            file.display()
        )
    }
}

/// A queue that holds everything.
const ROOM: &str = "queue = { max_messages = 1_000_000, max_bytes = 2_000_000_000 }";
