//! Uploads and imports that began and have no outcome yet: [`OpenUploads`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use crate::error::Result;
use crate::question::event_filter::EventFilter;
use crate::question::stuck_report::{StuckKind, StuckReport};
use crate::record::image_ids::is_uuid;
use crate::store::{Archive, ReadScope};

/// Counts the uploads and imports without an outcome, look by look, for a service whose memory must not grow
/// with its archive.
///
/// Each look reads the uploads and imports that began since the last one, or since the time that
/// [`read_from`](Self::read_from) named, and the lives of those that are open. The answer is that of [`StuckReport`] for uploads that began in the last seven days.
///
/// # Examples
///
/// ```
/// use notify_archive::ArchiveWriter;
/// use notify_archive::service::OpenUploads;
/// use time::OffsetDateTime;
///
/// let dir = tempfile::tempdir().unwrap();
/// drop(ArchiveWriter::open(dir.path())?);
/// let now = OffsetDateTime::now_utc();
/// assert_eq!(OpenUploads::new(dir.path(), now).count(now)?, 0);
/// # Ok::<_, notify_archive::ArchiveError>(())
/// ```
#[derive(Debug)]
pub struct OpenUploads {
    directory: PathBuf,
    open: BTreeSet<String>,
    read_until: OffsetDateTime,
}

impl OpenUploads {
    /// Creates a counter for the archive in `directory`, which reads nothing yet.
    pub fn new(directory: &Path, now: OffsetDateTime) -> Self {
        Self {
            directory: directory.to_owned(),
            open: BTreeSet::new(),
            read_until: now - LONGEST_VIEW,
        }
    }

    /// Lets the next look begin at the time of an event at the latest: it was stored since the last look.
    ///
    /// After an outage, events arrive long after their times.
    pub fn read_from(&mut self, time: OffsetDateTime) {
        self.read_until = self.read_until.min(time);
    }

    /// Returns the number of uploads and imports without an outcome for at least an hour at `now`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read. The next call reads the same part again.
    pub fn count(&mut self, now: OffsetDateTime) -> Result<u64> {
        let archive = Archive::open(&self.directory)?;
        let earliest = now - LONGEST_VIEW;
        // While the clock was ahead, open uploads seemed to be too old: look for them again.
        let is_ahead = self.read_until > now;
        let mut start = if is_ahead { earliest } else { self.read_until.max(earliest) };
        loop {
            let end = (start + STEP).min(now);
            self.add_begun(&archive, start, end)?;
            let stuck = self.look(&archive, now)?;
            start = end;
            self.read_until = end;
            if end >= now {
                return Ok(stuck);
            }
        }
    }

    /// Adds the images whose upload or import began from `since` to `until`.
    fn add_begun(
        &mut self,
        archive: &Archive,
        since: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<()> {
        let events = ["image.prepare", "image.upload", "image.update"];
        let filter = EventFilter {
            events: events.iter().filter_map(|name| name.parse().ok()).collect(),
            since: Some(since),
            until: Some(until),
            ..EventFilter::default()
        };
        archive.read(&filter, ReadScope::default(), |record| {
            let is_begin = record.event_type.as_str() != "image.update"
                || record.status.as_deref().is_some_and(|status| UNFINISHED.contains(&status));
            // Another id than a UUID is not one of Glance's, and would take a look at all events.
            let subject = record.subject.as_deref().filter(|id| is_begin && is_uuid(id));
            if let Some(subject) = subject.filter(|_| self.open.len() < MOST_OPEN) {
                self.open.insert(subject.to_owned());
            }
        })
    }

    /// Looks at the lives of the open uploads, and forgets those with an outcome. Returns the number of those
    /// that are stuck.
    fn look(&mut self, archive: &Archive, now: OffsetDateTime) -> Result<u64> {
        let (mut open, mut stuck) = (BTreeSet::new(), 0);
        let images: Vec<_> = self.open.iter().cloned().collect();
        // A read opens every file of the archive.
        for images in images.chunks(LIVES_AT_ONCE) {
            let mut report = StuckReport::default();
            let filter = EventFilter { images: images.to_vec(), ..EventFilter::default() };
            archive.read(&filter, ReadScope::default(), |record| report.add(record))?;
            for item in report.finish(now, Duration::ZERO) {
                if now - item.since > LONGEST_VIEW || item.kind == StuckKind::PendingDelete {
                    continue;
                }
                stuck += u64::from(now - item.since >= STUCK_AFTER);
                open.insert(item.id);
            }
        }
        self.open = open;
        Ok(stuck)
    }
}

/// The statuses of an image whose data is on its way.
const UNFINISHED: [&str; 3] = ["saving", "importing", "uploading"];
/// The age at which an upload without an outcome is stuck, as in `report stuck`.
const STUCK_AFTER: Duration = Duration::hours(1);
/// The age at which an open upload is no longer counted.
const LONGEST_VIEW: Duration = Duration::days(7);
/// The part of the first look that is read at once.
const STEP: Duration = Duration::hours(6);
/// The open uploads whose lives are read together.
const LIVES_AT_ONCE: usize = 100;
/// The most open uploads in memory.
const MOST_OPEN: usize = 100_000;
