//! Why delivering came to an end, for whatever delivers.

use std::time::Duration;

use glance_notify::pipeline::{Stats, WorkerState};
use glance_notify::transport::printable;

use crate::exit::{Failure, say};

/// Why delivering came to an end.
pub(crate) enum End {
    /// Everything was decided.
    Done,
    /// A signal asked for it; what was under way was decided in time.
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
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self, Self::NotDrained(_) | Self::Stalled(..) | Self::Permanent(_))
    }

    /// Ends so, unless it has ended more gravely before.
    pub(crate) fn becomes(&mut self, end: Self) {
        if end.rank() > self.rank() {
            *self = end;
        }
    }

    /// Says what there is to say of it.
    pub(crate) fn tell(&self) {
        match self {
            Self::Done | Self::Interrupted => {}
            Self::Failed(failure) => say(format_args!("{}", failure.message)),
            Self::NotDrained(error) => say(format_args!("gave up{}", because(error.as_deref()))),
            Self::Stalled(time, error) => say(format_args!(
                "gave up: nothing was delivered for {} s{}",
                time.as_secs_f64(),
                because(error.as_deref())
            )),
            Self::Permanent(error) => say(format_args!("gave up{}", because(Some(error)))),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Interrupted => 1,
            Self::Failed(_) => 2,
            Self::NotDrained(_) | Self::Stalled(..) => 3,
            Self::Permanent(_) => 4,
        }
    }
}

/// Why the last attempt failed, if it did.
pub(crate) fn last_error(stats: &Stats) -> Option<String> {
    match &stats.state {
        WorkerState::Retrying { error, .. } => Some(error.clone()),
        _ => None,
    }
}

fn because(error: Option<&str>) -> String {
    error.map(|error| format!(": {}", printable(error, 1024))).unwrap_or_default()
}
