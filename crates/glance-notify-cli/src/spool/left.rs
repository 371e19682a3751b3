//! What a draining leaves, and how it ended: in words or as JSON, and as an exit code.

use std::path::Path;

use glance_notify::pipeline::Stats;
use glance_notify::transport::spool::admin;
use serde::Serialize;

use super::Unseen;
use super::text::json;
use crate::end::End;
use crate::exit::{Exit, Failure, print, say};

pub(super) struct Left {
    strategy: &'static str,
    stats: Stats,
    end: End,
    /// What could be forwarded and is not.
    pending: u64,
    dead: u64,
    held: Vec<Held>,
    unseen: Unseen,
}

/// A slot that is left to the process that holds it.
#[derive(Serialize)]
struct Held {
    slot: u32,
    /// Nothing, where it has not said yet which it is.
    pid: Option<u32>,
    /// What that process has to forward; nothing, where it has not said.
    pending: Option<u64>,
}

impl Left {
    /// Looks at what is in the spool after a draining.
    pub(super) fn look(
        dir: &Path,
        strategy: &'static str,
        stats: Stats,
        end: End,
    ) -> Result<Self, Failure> {
        let mut left = Self {
            strategy,
            stats,
            end,
            pending: 0,
            dead: 0,
            held: Vec::new(),
            unseen: Unseen::default(),
        };
        for slot in admin::slots(dir)? {
            let Some(contents) = left.unseen.see(slot.contents) else { continue };
            let pending = match contents {
                Some(contents) => Some(contents.pending.messages),
                None => (slot.file_bytes == 0).then_some(0),
            };
            match slot.owner {
                // What a draining that was cut short has not let go of yet is ours too.
                Some(pid) if pid != std::process::id() => {
                    let pid = (pid != 0).then_some(pid);
                    left.held.push(Held { slot: slot.number, pid, pending });
                }
                _ => left.pending += pending.unwrap_or_default(),
            }
            left.dead += contents.map_or(0, |contents| contents.dead.messages);
        }
        Ok(left)
    }

    /// Tells it, and what the command's exit code is.
    pub(super) fn tell(self, as_json: bool) -> Result<Exit, Failure> {
        // What cannot be read has just been told of.
        if !(self.unseen.is_any() && matches!(self.end, End::Failed(_))) {
            self.end.tell();
        }
        self.held.iter().for_each(Held::tell);
        if as_json {
            print(|out| json(out, &self.object()))?;
        } else {
            say(format_args!("{}", self.words()));
        }
        Ok(self.exit())
    }

    fn exit(&self) -> Exit {
        let Self { stats, end, pending, held, unseen, .. } = self;
        let ends = match end {
            End::Permanent(_) => Exit::Permanent,
            End::Failed(failure) => failure.exit,
            End::NotDrained(_) | End::Stalled(..) => Exit::Undelivered,
            End::Done | End::Interrupted => Exit::Done,
        };
        let is_left = stats.refused + stats.dropped.total() + pending > 0
            || held.iter().any(|held| held.pending != Some(0));
        match (ends, unseen.exit()) {
            (Exit::Permanent, _) | (_, Exit::Permanent) => Exit::Permanent,
            (Exit::Done, Exit::Done) if !is_left => Exit::Done,
            _ => Exit::Undelivered,
        }
    }

    fn words(&self) -> String {
        let Self { strategy, stats, pending, dead, .. } = self;
        let rest = [
            (stats.refused, "refused"),
            (stats.dropped.total(), "set aside"),
            (*pending, "left"),
            (*dead, "dead letters"),
        ];
        let rest = rest.iter().filter(|(count, _)| *count > 0);
        let rest: Vec<_> = rest.map(|(count, what)| format!(", {count} {what}")).collect();
        format!("{} delivered by `{strategy}`{}", stats.delivered, rest.concat())
    }

    fn object(&self) -> Object<'_> {
        let Self { strategy, stats, pending, dead, held, .. } = self;
        Object {
            strategy,
            delivered: stats.delivered,
            refused: stats.refused,
            dropped: stats.dropped.total(),
            pending: *pending,
            dead: *dead,
            held,
        }
    }
}

impl Held {
    fn tell(&self) {
        let Self { slot, pid, pending } = self;
        let holder = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
        let pending = match pending {
            Some(0) => "nothing is left in it".to_owned(),
            Some(pending) => format!("what is left in it, {pending}, is forwarded by that"),
            None => "what is left in it is forwarded by that".to_owned(),
        };
        say(format_args!("slot {slot} is held by {holder}: {pending}"));
    }
}

#[derive(Serialize)]
struct Object<'a> {
    strategy: &'a str,
    delivered: u64,
    refused: u64,
    dropped: u64,
    pending: u64,
    dead: u64,
    held: &'a [Held],
}
