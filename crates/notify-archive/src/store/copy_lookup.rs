//! The search of the writer for records that another file has already.

use time::OffsetDateTime;

use super::archive_writer::ArchiveWriter;
use super::connection::identity;
use super::event_file;
use super::file_name::FileName;
use crate::error::{ArchiveErrorKind, Result};
use crate::record::event_record::EventRecord;

impl ArchiveWriter {
    /// Returns, for each record, the file other than its own in `names` that has it: the same notification is
    /// dated or undated depending on when it arrives.
    ///
    /// It looks for all records in one file after the other. Record by record, an archive with more undated files
    /// than may be open would open them all again for each.
    ///
    /// It passes over a damaged file with a warning, so that the file keeps no record of another one from being
    /// stored.
    pub(super) fn other_files_with(
        &mut self,
        records: &[EventRecord],
        names: &[FileName],
        now: OffsetDateTime,
    ) -> Result<Vec<Option<FileName>>> {
        let mut found = vec![None; records.len()];
        for other in self.names.clone() {
            let is_candidate = |index: &usize| {
                let (record, name) = (&records[*index], names[*index]);
                let dated = || FileName::of_event(record.timestamp, Some(record.timestamp), now);
                let may_have = other.is_undated() || name.is_undated() && dated() == other;
                found[*index].is_none() && name != other && may_have
            };
            let candidates: Vec<_> = (0..records.len()).filter(is_candidate).collect();
            if candidates.is_empty() {
                continue;
            }
            match self.known_in(other, records, candidates) {
                Ok(known) => {
                    self.damaged.remove(&other);
                    for index in known {
                        found[index] = Some(other);
                    }
                }
                Err(error) if error.kind() == ArchiveErrorKind::Corrupt => {
                    if self.damaged.insert(other) {
                        tracing::warn!(
                            "notifications of a damaged file may be stored again: {error}"
                        );
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Returns those of the `candidates` that a file has. Opens no file whose reach is known and has none of them.
    fn known_in(
        &mut self,
        name: FileName,
        records: &[EventRecord],
        candidates: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let path = self.directory.join(name.to_string());
        let has_none = self.reaches.get(&name).is_some_and(|(place, reach)| {
            identity(&path).is_ok_and(|found| found == *place)
                && !candidates.iter().any(|index| reach.may_have(&records[*index]))
        });
        if has_none {
            return Ok(Vec::new());
        }
        let (file, _) = self.file(name)?;
        let look = || {
            let mut known = Vec::new();
            for index in candidates {
                if event_file::has(&file.sqlite, &records[index])? {
                    known.push(index);
                }
            }
            Ok((known, event_file::reach(&file.sqlite)?))
        };
        match look().map_err(|error| file.error(error)) {
            Ok((known, reach)) => {
                let place = file.identity;
                self.reaches.insert(name, (place, reach));
                Ok(known)
            }
            Err(error) => {
                // The next look opens the file that is in its place then.
                self.close(name);
                Err(error)
            }
        }
    }
}
