//! The search of the writer for records that another file has already.

use time::OffsetDateTime;

use super::archive_writer::ArchiveWriter;
use super::event_file;
use super::file_name::FileName;
use crate::error::Result;
use crate::record::event_record::EventRecord;

impl ArchiveWriter {
    /// Returns, for each record, the file other than its own in `names` that has it: the same notification is
    /// dated or undated depending on when it arrives.
    ///
    /// It looks for all records in one file after the other. Record by record, an archive with more undated files
    /// than may be open would open them all again for each.
    pub(super) fn other_files_with(
        &mut self,
        records: &[EventRecord],
        names: &[FileName],
        now: OffsetDateTime,
    ) -> Result<Vec<Option<FileName>>> {
        let mut found = vec![None; records.len()];
        for other in self.names.clone() {
            for ((record, name), found) in records.iter().zip(names).zip(&mut found) {
                let dated = || FileName::of_event(record.timestamp, Some(record.timestamp), now);
                let is_candidate =
                    *name != other && (other.is_undated() || name.is_undated() && dated() == other);
                if found.is_some() || !is_candidate {
                    continue;
                }
                let (file, _) = self.file(other)?;
                if event_file::has(&file.sqlite, record).map_err(|error| file.error(error))? {
                    *found = Some(other);
                }
            }
        }
        Ok(found)
    }
}
