//! How an `emit` ended: in words or as JSON, and as an exit code.

use std::time::Duration;

use glance_notify::{Stats, printable, serde_json};
use serde::Serialize;

use super::Format;
use crate::exit::{Exit, Failure, print, say};

pub(super) struct Summary {
    pub(super) strategy: &'static str,
    pub(super) read: u64,
    pub(super) invalid: u64,
    pub(super) last_line: u64,
    /// Whether a file was not read to its end.
    pub(super) unread: bool,
    pub(super) stats: Stats,
    pub(super) end: End,
}

/// Why reading and delivering came to an end.
pub(super) enum End {
    /// The input did, and everything was decided.
    Input,
    /// A signal did; what was read was decided in time.
    Interrupted,
    /// After a signal, time was over, or there was a second one. With the last error.
    NotDrained(Option<String>),
    /// Nothing was decided for so long. With the last error.
    Stalled(Duration, Option<String>),
    /// Nobody but an operator can mend it.
    Permanent(String),
    /// The input is invalid, or something cannot be read or written.
    Failed(Failure),
}

impl End {
    /// Whether what was pending was let go.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self, Self::NotDrained(_) | Self::Stalled(..) | Self::Permanent(_))
    }

    /// Ends so, unless it has ended more gravely before.
    pub(super) fn becomes(&mut self, end: Self) {
        if end.rank() > self.rank() {
            *self = end;
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Input => 0,
            Self::Interrupted => 1,
            Self::Failed(_) => 2,
            Self::NotDrained(_) | Self::Stalled(..) => 3,
            Self::Permanent(_) => 4,
        }
    }
}

impl Summary {
    /// Tells it, and what the command's exit code is.
    pub(super) fn tell(self, format: Format) -> Result<Exit, Failure> {
        match &self.end {
            End::Input | End::Interrupted => {}
            End::Failed(failure) => say(format_args!("{}", failure.message)),
            End::NotDrained(error) => say(format_args!("gave up{}", because(error.as_deref()))),
            End::Stalled(time, error) => say(format_args!(
                "gave up: nothing was delivered for {} s{}",
                time.as_secs_f64(),
                because(error.as_deref())
            )),
            End::Permanent(error) => say(format_args!("gave up{}", because(Some(error)))),
        }
        if self.unread {
            say(format_args!("what follows line {} was not read", self.last_line));
        }
        if self.strategy == "noop" {
            say(format_args!("nothing was sent: the strategy is `noop` (set `strategy`)"));
        }
        match format {
            Format::Human => say(format_args!("{}", self.words())),
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
        let Self { strategy, read, invalid, stats, .. } = self;
        Object {
            strategy,
            read: *read,
            invalid: *invalid,
            emitted: stats.emitted,
            delivered: stats.delivered,
            refused: stats.refused,
            dropped: stats.dropped.total(),
            pending: stats.pending.messages,
        }
    }
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
}

fn because(error: Option<&str>) -> String {
    error.map(|error| format!(": {}", printable(error, 1024))).unwrap_or_default()
}
