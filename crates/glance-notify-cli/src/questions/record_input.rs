//! The records that a question reads: from files, from standard input, or from an archive.

use std::collections::HashSet;
use std::io::{BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use glance_notify::uuid::Uuid;
use notify_archive::question::{Calendar, InputCoverage};
use notify_archive::record::{EventRecord, RecordLines, RecordReader};

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{InputSource, read_error};

/// Calls `add` with each record of the inputs, and returns their coverage.
///
/// A copy has the id of an earlier record. It is left out and counted, as are lines without a notification.
///
/// # Errors
///
/// Returns an error if an input cannot be read, or if there is none.
pub(crate) fn read_records(
    from: &[PathBuf],
    calendar: &Calendar,
    mut add: impl FnMut(&EventRecord),
) -> Result<Vec<String>, CommandError> {
    let stdin = [PathBuf::from("-")];
    let from = if from.is_empty() { stdin.as_slice() } else { from };
    let mut coverage = InputCoverage::default();
    let mut ids = HashSet::new();
    for path in from {
        if path == Path::new("-") && std::io::stdin().is_terminal() {
            return Err(CommandError::new(ExitStatus::PermanentError, NO_INPUT));
        }
        let input = InputSource::open(Some(path))?;
        read_input(input, &mut coverage, &mut ids, &mut add)?;
    }
    Ok(vec![coverage.shown(calendar)])
}

/// Reads one input.
fn read_input(
    input: InputSource,
    coverage: &mut InputCoverage,
    ids: &mut HashSet<Uuid>,
    add: &mut dyn FnMut(&EventRecord),
) -> Result<(), CommandError> {
    let reader = BufReader::with_capacity(BUFFER_BYTES, input.reader);
    let mut lines = RecordLines::new(reader, RecordReader::new(&input.name));
    while let Some(line) = lines.next_line().map_err(|error| read_error(&input.name, &error))? {
        match line.record {
            Err(_) => coverage.unreadable += 1,
            Ok(record) if !ids.insert(record.message_id) => coverage.copies += 1,
            Ok(record) => {
                coverage.add(&record);
                add(&record);
            }
        }
        if ids.len() > MOST_IDS {
            return Err(CommandError::new(ExitStatus::PermanentError, TOO_MANY));
        }
    }
    coverage.names.push(input.name);
    Ok(())
}

/// The size of the read buffer.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most ids that finding copies keeps in memory, about 400 MB.
const MOST_IDS: usize = 10_000_000;

const NO_INPUT: &str = "no input: name a file or an archive with `--from`, or pipe notifications into the \
                        command, as in `glance-notify demo | glance-notify timeline debian-12`";
const TOO_MANY: &str = "more than 10 000 000 events: import the files with `glance-notify archive import` \
                        and ask the archive";
