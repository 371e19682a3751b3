//! The ids that the names of images stand for: [`Archive::resolve_names`].

use std::time::{Duration, Instant};

use super::archive::{Archive, check_deadline, end_of};
use super::event_file;
use crate::error::{ArchiveError, Result};
use crate::question::event_filter::EventFilter;
use crate::record::image_ids::is_uuid;

impl Archive {
    /// Adds the ids of the images that have a name of the filter in any event.
    ///
    /// [`read`](Self::read), [`search`](Self::search) and [`count_usage`](Self::count_usage) do this for their own
    /// archive. If you ask several archives, call it for each of them before you read the first one. One archive
    /// may have the name, and another one may have events with only the id.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or `deadline` passes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use notify_archive::question::EventFilter;
    /// use notify_archive::{Archive, ArchiveWriter};
    ///
    /// let dir = tempfile::tempdir().unwrap();
    /// drop(ArchiveWriter::open(dir.path())?);
    /// let archives = [Archive::open(dir.path())?];
    /// let mut filter = EventFilter { images: vec!["debian-12".into()], ..EventFilter::default() };
    /// for archive in &archives {
    ///     archive.resolve_names(&mut filter, Duration::from_secs(60))?;
    /// }
    /// assert_eq!(filter.images, ["debian-12"]);
    /// # Ok::<_, notify_archive::ArchiveError>(())
    /// ```
    pub fn resolve_names(&self, filter: &mut EventFilter, deadline: Duration) -> Result<()> {
        self.resolve_names_until(filter, end_of(deadline))
    }

    /// Adds the ids as [`resolve_names`](Self::resolve_names) does, for a caller whose deadline already runs.
    pub(crate) fn resolve_names_until(
        &self,
        filter: &mut EventFilter,
        deadline: Instant,
    ) -> Result<()> {
        let names: Vec<_> = filter.images.iter().filter(|image| !is_uuid(image)).cloned().collect();
        for name in names {
            filter.images.extend(self.known_ids(&name, deadline)?);
        }
        filter.images.sort();
        filter.images.dedup();
        Ok(())
    }

    /// Returns the ids that a text stands for: itself, if an event is about it, and the images that have it as
    /// their name in any event.
    fn known_ids(&self, text: &str, deadline: Instant) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for name in self.files()? {
            check_deadline(deadline)?;
            let (path, file) = self.open_file(name)?;
            let known = event_file::ids_of(&file, text);
            ids.extend(known.map_err(|error| ArchiveError::sqlite(&path, error))?);
        }
        Ok(ids)
    }
}
