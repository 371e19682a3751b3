//! How a message in a spool is named on the command line.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use glance_notify::codec::Message;
use glance_notify::transport::spool::admin::StoredMessage;
use glance_notify::uuid::Uuid;

use super::Unseen;
use crate::exit::{Exit, Failure, say};

/// A message, by what everybody knows it by, or by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Id {
    /// Its `message_id`. A message that was stored twice is meant twice.
    Message(Uuid),
    /// The number of its slot and its number in that, for what is no notification any more.
    Place(u32, u64),
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let place = text
            .split_once('/')
            .and_then(|(slot, number)| Some(Self::Place(slot.parse().ok()?, number.parse().ok()?)));
        place.or_else(|| Uuid::try_parse(text).ok().map(Self::Message)).ok_or_else(|| {
            "expected a message_id, or SLOT/NUMBER as `spool ls --messages` shows".to_owned()
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => id.hyphenated().fmt(f),
            Self::Place(slot, number) => write!(f, "{slot}/{number}"),
        }
    }
}

/// The messages that were asked for, and those of them that were met.
pub(super) struct Wanted {
    ids: HashSet<Id>,
    met: HashSet<Id>,
}

impl Wanted {
    pub(super) fn new(ids: &[Id]) -> Self {
        Self { ids: ids.iter().copied().collect(), met: HashSet::new() }
    }

    /// Whether a message of slot `slot` was asked for.
    pub(super) fn meets(&mut self, slot: u32, entry: &StoredMessage) -> bool {
        let id = entry.message.as_ref().ok().map(|message| Id::Message(message.id()));
        let names = [Some(Id::Place(slot, entry.number)), id].into_iter().flatten();
        let asked: Vec<_> = names.filter(|name| self.ids.contains(name)).collect();
        self.met.extend(&asked);
        !asked.is_empty()
    }

    /// Tells what was not there; `what` says what was looked for. The exit code, where all else was
    /// done.
    pub(super) fn exit(&self, what: &str, unseen: &Unseen) -> Exit {
        let mut missing: Vec<_> = self.ids.difference(&self.met).map(Id::to_string).collect();
        missing.sort_unstable();
        for id in &missing {
            let part = if unseen.is_any() { " in what can be looked at" } else { "" };
            say(format_args!("there is no {what} {id}{part}"));
        }
        match unseen.exit() {
            Exit::Done if !missing.is_empty() => Exit::Permanent,
            exit => exit,
        }
    }
}

/// The message of an entry of slot `slot`, unless what lies there is none.
pub(super) fn message(slot: u32, entry: &StoredMessage) -> Result<&Message, Failure> {
    entry.message.as_ref().map_err(|error| {
        let place = Id::Place(slot, entry.number);
        Failure::new(Exit::Undelivered, format!("{place} is no notification: {error:#}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_by_its_id_or_its_place() {
        let id = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
        for (text, shown) in [(id, id), ("0/17", "0/17"), (&id.replace('-', ""), id)] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), shown);
        }
        for wrong in ["", "17", "0/", "/1", "-1/2", "c80a1a6c", "0/1/2"] {
            assert!(wrong.parse::<Id>().unwrap_err().contains("SLOT/NUMBER"), "{wrong}");
        }
    }
}
