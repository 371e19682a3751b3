//! `glance-notify spool show`: a message in the spool, whole.

use std::path::Path;

use glance_notify::transport::printable;

use super::ids::{Id, Wanted, message};
use super::text::{microsecond, pretty, second};
use super::{Slots, State, Which};
use crate::exit::{Exit, Failure, print};

/// Show notifications in the spool, whole.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The notification's `message_id`, or SLOT/NUMBER as `spool ls --messages` shows.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Id>,

    /// Each as the one line that it is, ready to be emitted.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, dir: &Path) -> Result<Exit, Failure> {
    let mut slots = Slots::new(dir, None)?;
    let mut wanted = Wanted::new(&args.ids);
    let all = Which { slot: None, pending: false, dead: false };
    print(|out| {
        while let Some(slot) = slots.next() {
            for (state, entry) in all.of(&slot) {
                let Some(entry) = slots.unseen.see(entry) else { continue };
                if !wanted.meets(slot.number(), &entry) {
                    continue;
                }
                let found = message(slot.number(), &entry);
                let Some(message) = slots.unseen.see(found) else { continue };
                if args.json {
                    out.write_all(message.body())?;
                    out.write_all(b"\n")?;
                    continue;
                }
                let place = Id::Place(slot.number(), entry.number);
                match (&entry.refusal, state) {
                    (Some(refused), _) => writeln!(
                        out,
                        "{place}: a dead letter, refused {}: {}",
                        second(refused.refused_at),
                        printable(&refused.reason, CHARS)
                    )?,
                    (None, State::Dead) => writeln!(out, "{place}: a dead letter")?,
                    (None, State::Pending) => writeln!(
                        out,
                        "{place}: to be forwarded, emitted {}",
                        microsecond(message.timestamp())
                    )?,
                }
                writeln!(out, "{}", pretty(&String::from_utf8_lossy(message.body())))?;
            }
        }
        Ok(())
    })?;
    Ok(wanted.exit("message", &slots.unseen))
}

const CHARS: usize = 1024;
