//! The choice of dead letters by id.

use std::collections::BTreeSet;
use std::fmt;

use glance_notify::listen::DeadLetterLine;
use glance_notify::uuid::Uuid;
use sha2::{Digest, Sha256};

use crate::exit_status::ExitStatus;
use crate::terminal::print_error;

/// The id of a letter: the beginning of a hash of its line.
///
/// It stays the same while other letters come and go, and damaged lines have one too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LetterId(String);

/// The options that choose letters.
#[derive(clap::Args)]
#[group(required = true)]
pub(super) struct LetterSelection {
    /// Letters: the id that `dead ls` shows, or the `message_id`.
    #[arg(value_name = "ID", value_parser = parse_reference)]
    ids: Vec<String>,

    /// All letters.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// A search for the chosen letters. It remembers which ids matched.
pub(super) struct LetterLookup<'a> {
    selection: &'a LetterSelection,
    matched: BTreeSet<String>,
}

impl LetterId {
    /// Returns the id of a line.
    pub(super) fn of(line: &DeadLetterLine) -> Self {
        let hash = Sha256::digest(&line.bytes);
        let start = hash.iter().take(ID_BYTES);
        let number = start.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Self(format!("{number:0width$x}", width = 2 * ID_BYTES))
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LetterSelection {
    /// Starts a search.
    pub(super) fn lookup(&self) -> LetterLookup<'_> {
        LetterLookup { selection: self, matched: BTreeSet::new() }
    }
}

impl LetterLookup<'_> {
    /// Returns whether the letter is chosen.
    pub(super) fn matches(&mut self, line: &DeadLetterLine) -> bool {
        if self.selection.all {
            return true;
        }
        let message_id = line.letter.as_ref().ok().and_then(|letter| letter.message_id);
        let names = [Some(LetterId::of(line).0), message_id.map(|id| id.to_string())];
        let names = names.into_iter().flatten().filter(|name| self.selection.ids.contains(name));
        let names: Vec<_> = names.collect();
        let is_chosen = !names.is_empty();
        self.matched.extend(names);
        is_chosen
    }

    /// Prints each id without a letter, and returns the exit status: a missing letter is a permanent error.
    pub(super) fn finish(&self) -> ExitStatus {
        let ids = self.selection.ids.iter();
        let missing: Vec<_> = ids.filter(|id| !self.matched.contains(*id)).collect();
        for id in &missing {
            print_error(format_args!("no dead letter {id} in the file: `dead ls` lists them"));
        }
        if missing.is_empty() { ExitStatus::Success } else { ExitStatus::PermanentError }
    }
}

/// Reads an id of either kind, in the form in which it is compared.
///
/// # Errors
///
/// Returns the message that clap shows.
fn parse_reference(text: &str) -> Result<String, String> {
    let is_id = text.len() == 2 * ID_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(text.to_ascii_lowercase());
    }
    let expected = "expected the id of a letter as `dead ls` shows it, or a message_id";
    Uuid::try_parse(text).map(|id| id.to_string()).map_err(|_| expected.to_owned())
}

/// The bytes of the hash in an id.
const ID_BYTES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of ids parse, in any case of letters.
    #[test]
    fn parses_both_kinds_of_ids() {
        let id = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
        for (text, read) in [("0123456789AB", "0123456789ab"), (id, id), (&id.replace('-', ""), id)]
        {
            assert_eq!(parse_reference(text).unwrap(), read);
        }
        for wrong in ["", "7", "0123456789a", "0123456789ax", "0/1"] {
            assert!(parse_reference(wrong).unwrap_err().contains("dead ls"), "{wrong}");
        }
    }
}
