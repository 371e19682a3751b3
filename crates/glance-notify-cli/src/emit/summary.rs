//! How an `emit` ended: in words or as JSON, and as an exit code.

use glance_notify::codec::serde_json;
use glance_notify::pipeline::Stats;
use serde::Serialize;

use super::Format;
use crate::end::End;
use crate::exit::{Exit, Failure, print, say};

pub(super) struct Summary {
    pub(super) strategy: &'static str,
    pub(super) read: u64,
    pub(super) invalid: u64,
    pub(super) last_line: u64,
    /// Whether a file was not read to its end.
    pub(super) unread: bool,
    pub(super) stats: Stats,
    /// With a spool: where that forwards to, and the account of it.
    pub(super) behind: Option<(&'static str, Stats)>,
    pub(super) end: End,
}

impl Summary {
    /// Tells it, and what the command's exit code is.
    pub(super) fn tell(self, format: Format) -> Result<Exit, Failure> {
        self.end.tell();
        if self.unread {
            say(format_args!("what follows line {} was not read", self.last_line));
        }
        if self.strategy == "noop" {
            say(format_args!("nothing was sent: the strategy is `noop` (set `strategy`)"));
        }
        match format {
            Format::Human => {
                say(format_args!("{}", self.words()));
                if let Some((strategy, stats)) = &self.behind {
                    say(format_args!("{}", forwarded(strategy, stats)));
                }
            }
            Format::Json => print(|out| {
                serde_json::to_writer(&mut *out, &self.object())?;
                out.write_all(b"\n")
            })?,
        }
        Ok(self.exit())
    }

    fn exit(&self) -> Exit {
        let Stats { refused, dropped, pending, .. } = &self.stats;
        match &self.end {
            End::Permanent(_) => Exit::Permanent,
            End::Failed(failure) if failure.exit == Exit::Permanent => Exit::Permanent,
            End::NotDrained(_) | End::Stalled(..) => Exit::Undelivered,
            _ if refused + dropped.total() + pending.messages > 0 => Exit::Undelivered,
            _ if self.invalid > 0 => Exit::Invalid,
            End::Interrupted if self.unread => Exit::Undelivered,
            _ => Exit::Done,
        }
    }

    fn words(&self) -> String {
        let Stats { delivered, refused, dropped, suppressed, .. } = &self.stats;
        let rest = [
            (self.invalid, "invalid"),
            (*refused, "refused"),
            (dropped.total(), "not sent"),
            (*suppressed, "not wanted"),
        ];
        let rest = rest.iter().filter(|(count, _)| *count > 0);
        let rest: Vec<_> = rest.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{} read, {delivered} delivered by `{}`{}", self.read, self.strategy, rest.concat())
    }

    fn object(&self) -> Object<'_> {
        let Self { strategy, read, invalid, stats, behind, .. } = self;
        Object {
            strategy,
            read: *read,
            invalid: *invalid,
            emitted: stats.emitted,
            delivered: stats.delivered,
            refused: stats.refused,
            dropped: stats.dropped.total(),
            pending: stats.pending.messages,
            forwarded: behind.as_ref().map(|(strategy, stats)| Forwarded {
                strategy,
                delivered: stats.delivered,
                refused: stats.refused,
                pending: stats.pending.messages,
            }),
        }
    }
}

/// What became of what is on the disk, and of what was there before.
fn forwarded(strategy: &str, stats: &Stats) -> String {
    let Stats { delivered, refused, pending, .. } = stats;
    let refused = match refused {
        0 => String::new(),
        refused => format!(", {refused} refused and kept as dead letters"),
    };
    format!(
        "on the disk: {delivered} forwarded by `{strategy}`{refused}, {} still to be forwarded",
        pending.messages
    )
}

#[derive(Serialize)]
struct Object<'a> {
    strategy: &'a str,
    read: u64,
    invalid: u64,
    emitted: u64,
    delivered: u64,
    refused: u64,
    dropped: u64,
    pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded: Option<Forwarded<'a>>,
}

#[derive(Serialize)]
struct Forwarded<'a> {
    strategy: &'a str,
    delivered: u64,
    refused: u64,
    pending: u64,
}
