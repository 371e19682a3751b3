//! References to messages on the command line: `message_id` or `SLOT/NUMBER`.
//!
//! Operators know the `message_id` from logs and consumers. The position is what
//! `spool ls --messages` prints first, and the only name of a damaged message.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use glance_notify::codec::Message;
use glance_notify::transport::spool::admin::StoredMessage;
use glance_notify::uuid::Uuid;

use super::slots::ErrorLog;
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::print_error;

/// A reference to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MessageRef {
    /// A `message_id`. It matches every copy, if the spool holds the message twice.
    Id(Uuid),
    /// A slot's number and a message's number within that slot. Only this form can name
    /// a message that is damaged, because the damage may hide the `message_id`.
    Position(u32, u64),
}

impl FromStr for MessageRef {
    type Err = String;

    /// Parses `SLOT/NUMBER`, or a UUID with or without dashes.
    ///
    /// # Errors
    ///
    /// Returns the message that clap shows if `text` is neither.
    fn from_str(text: &str) -> Result<Self, String> {
        let position = text.split_once('/').and_then(|(slot, number)| {
            Some(Self::Position(slot.parse().ok()?, number.parse().ok()?))
        });
        position.or_else(|| Uuid::try_parse(text).ok().map(Self::Id)).ok_or_else(|| {
            "expected a message_id, or SLOT/NUMBER as `spool ls --messages` shows".to_owned()
        })
    }
}

impl fmt::Display for MessageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.hyphenated().fmt(f),
            Self::Position(slot, number) => write!(f, "{slot}/{number}"),
        }
    }
}

/// A search for messages by reference. It remembers which references matched.
pub(super) struct MessageLookup {
    refs: HashSet<MessageRef>,
    matched: HashSet<MessageRef>,
}

impl MessageLookup {
    /// Creates a search for the given references.
    pub(super) fn new(refs: &[MessageRef]) -> Self {
        Self { refs: refs.iter().copied().collect(), matched: HashSet::new() }
    }

    /// Returns whether a reference names this message of slot number `slot`.
    pub(super) fn matches(&mut self, slot: u32, entry: &StoredMessage) -> bool {
        let id = entry.message.as_ref().ok().map(|message| MessageRef::Id(message.id()));
        let names = [Some(MessageRef::Position(slot, entry.number)), id].into_iter().flatten();
        let matched: Vec<_> = names.filter(|name| self.refs.contains(name)).collect();
        self.matched.extend(&matched);
        !matched.is_empty()
    }

    /// Prints each reference without a match, and returns the exit status of the command.
    ///
    /// `noun` says what the command looked for: "message" or "dead letter". A missing
    /// message is a permanent error, unless a slot that could not be read may hold it.
    pub(super) fn finish(&self, noun: &str, errors: &ErrorLog) -> ExitStatus {
        let mut missing: Vec<_> =
            self.refs.difference(&self.matched).map(ToString::to_string).collect();
        missing.sort_unstable();
        for reference in &missing {
            let scope = if errors.is_empty() { "the spool" } else { "the readable slots" };
            print_error(format_args!(
                "no {noun} {reference} in {scope}: `spool ls --messages` lists the messages"
            ));
        }
        match errors.status() {
            ExitStatus::Success if !missing.is_empty() => ExitStatus::PermanentError,
            status => status,
        }
    }
}

/// Returns the message of an entry of slot number `slot`.
///
/// # Errors
///
/// Returns an error with the message's position if the entry is damaged.
pub(super) fn decoded(slot: u32, entry: &StoredMessage) -> Result<&Message, CommandError> {
    entry.message.as_ref().map_err(|error| {
        let position = MessageRef::Position(slot, entry.number);
        CommandError::new(
            ExitStatus::NotDelivered,
            format!("message {position} cannot be decoded: {error:#}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms parse, and both print as users see them in lists.
    #[test]
    fn parses_a_message_id_or_a_position() {
        let id = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
        for (text, shown) in [(id, id), ("0/17", "0/17"), (&id.replace('-', ""), id)] {
            assert_eq!(text.parse::<MessageRef>().unwrap().to_string(), shown);
        }
        for wrong in ["", "17", "0/", "/1", "-1/2", "c80a1a6c", "0/1/2"] {
            assert!(wrong.parse::<MessageRef>().unwrap_err().contains("SLOT/NUMBER"), "{wrong}");
        }
    }
}
