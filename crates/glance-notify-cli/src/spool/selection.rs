//! The choice of messages by slot and state.
//!
//! `ls --messages` and `export` take these options from the command line. `show`, `retry`
//! and `drop` build a selection themselves, and narrow it down by reference.

use glance_notify::Result as NotifyResult;
use glance_notify::transport::spool::admin::{OpenSlot, StoredMessage};
use serde::Serialize;

use super::slots::ErrorLog;
use crate::arguments::number_in;

/// The options that choose messages. Without any, they choose all messages.
#[derive(clap::Args, Default)]
pub(super) struct MessageSelection {
    /// Only the slot with this number.
    #[arg(long, value_name = "NUMBER", value_parser = number_in(0..=u32::MAX))]
    pub(super) slot: Option<u32>,

    /// Only pending messages, which the spool still has to forward.
    #[arg(long)]
    pub(super) pending: bool,

    /// Only dead letters, which the destination refused.
    #[arg(long, conflicts_with = "pending")]
    pub(super) dead: bool,
}

impl MessageSelection {
    /// Returns the selection of all dead letters.
    pub(super) fn dead_letters() -> Self {
        Self { dead: true, ..Self::default() }
    }

    /// Returns the chosen messages of a slot: pending ones first, then dead letters.
    ///
    /// Reads them one by one, so that a large slot takes little memory. An item is an
    /// error if the slot's file cannot be read.
    pub(super) fn entries<'a>(
        &self,
        slot: &'a OpenSlot,
    ) -> impl Iterator<Item = (MessageState, NotifyResult<StoredMessage>)> + 'a {
        let pending =
            (!self.dead).then(|| slot.pending().map(|entry| (MessageState::Pending, entry)));
        let dead =
            (!self.pending).then(|| slot.dead_letters().map(|entry| (MessageState::Dead, entry)));
        pending.into_iter().flatten().chain(dead.into_iter().flatten())
    }

    /// Returns the numbers of the chosen messages for which `filter` holds.
    ///
    /// Logs an entry that cannot be read and leaves it out.
    pub(super) fn numbers(
        &self,
        slot: &OpenSlot,
        errors: &mut ErrorLog,
        mut filter: impl FnMut(&StoredMessage) -> bool,
    ) -> Vec<u64> {
        let entries = self.entries(slot).filter_map(|(_, entry)| errors.ok(entry));
        entries.filter(|entry| filter(entry)).map(|entry| entry.number).collect()
    }
}

/// The state of a message in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MessageState {
    /// The spool still has to forward the message.
    Pending,
    /// The destination refused the message: it is a dead letter.
    Dead,
}

impl MessageState {
    /// Returns the state as tables and JSON show it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}
