//! Everything that may belong to the life of one image or task: [`Archive::read_life`].

use std::ops::Range;
use std::time::Instant;

use notify_core::{EventType, Priority};
use time::{Duration, OffsetDateTime};

use super::archive::{Archive, ReadScope, end_of};
use super::event_row::RecordDetail;
use crate::error::Result;
use crate::question::event_filter::EventFilter;
use crate::question::timeline::LONGEST_UPLOAD;
use crate::record::event_record::EventRecord;

impl Archive {
    /// Calls `add` with each record that may belong to the life of an image or task, by its id or by the
    /// image's name, with its body: give them to a [`Timeline`](crate::question::Timeline).
    ///
    /// These are the events that name it, and failed uploads that name no image, of the times in which an upload of
    /// it may have failed.
    ///
    /// `subjects` has the id or the name, and the ids that [`resolve_names`](Self::resolve_names) finds for the name in
    /// other archives. Without a subject, there is no record.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or `deadline` passes.
    pub fn read_life(
        &self,
        subjects: &[String],
        deadline: std::time::Duration,
        mut add: impl FnMut(&EventRecord),
    ) -> Result<()> {
        // A filter without images would accept the events of all.
        if subjects.is_empty() {
            return Ok(());
        }
        let end = end_of(deadline);
        let scope = ReadScope { detail: RecordDetail::Bodies, undated: true, deadline };
        let filter = EventFilter { images: subjects.to_vec(), ..EventFilter::default() };
        let mut uploads = UploadTimes::default();
        self.read(&filter, scope, |record| {
            uploads.add(record);
            add(record);
        })?;
        for interval in uploads.intervals() {
            let failures = EventFilter {
                events: "image.upload".parse().into_iter().collect(),
                priorities: vec![Priority::Error],
                since: Some(interval.start),
                until: Some(interval.end),
                ..EventFilter::default()
            };
            let deadline = end.saturating_duration_since(Instant::now());
            self.read(&failures, ReadScope { deadline, ..scope }, |record| {
                if record.subject.is_none() {
                    add(record);
                }
            })?;
        }
        Ok(())
    }
}

/// The times at which uploads of a life began, and those of the events that end one.
#[derive(Debug, Default)]
struct UploadTimes {
    begins: Vec<OffsetDateTime>,
    ends: Vec<OffsetDateTime>,
}

impl UploadTimes {
    fn add(&mut self, record: &EventRecord) {
        match record.event_type {
            EventType::ImagePrepare => self.begins.push(record.timestamp),
            EventType::ImageUpload | EventType::ImageActivate | EventType::ImageDelete => {
                self.ends.push(record.timestamp);
            }
            _ => {}
        }
    }

    /// Returns the times in which a failure may belong to an upload, in order and without overlaps.
    fn intervals(mut self) -> Vec<Range<OffsetDateTime>> {
        self.begins.sort_unstable();
        self.ends.sort_unstable();
        let mut intervals: Vec<Range<OffsetDateTime>> = Vec::new();
        for begin in self.begins.iter().copied() {
            // An event ends the upload that began last before it.
            let next = first_after(&self.begins, begin);
            let end =
                first_after(&self.ends, begin).filter(|end| next.is_none_or(|next| next >= *end));
            let longest = begin.saturating_add(LONGEST_UPLOAD);
            let end = end.map_or(longest, |end| longest.max(end));
            // A failure at the end itself may belong to the upload too.
            let end = end.saturating_add(Duration::MICROSECOND);
            match intervals.last_mut() {
                Some(last) if begin <= last.end => last.end = last.end.max(end),
                _ => intervals.push(begin..end),
            }
        }
        intervals
    }
}

/// Returns the first time after another one, of times in order.
fn first_after(times: &[OffsetDateTime], time: OffsetDateTime) -> Option<OffsetDateTime> {
    times.get(times.partition_point(|other| *other <= time)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::record_reader::RecordReader;
    use crate::store::{ArchiveBatch, ArchiveWriter};

    const IMAGE: &str = "7290aba0-ea68-429f-a9ec-7df334e091e2";

    fn event(number: u32, event_type: &str, timestamp: &str) -> EventRecord {
        let (priority, payload) = match event_type {
            "image.upload" => ("ERROR", r#""the storage is full""#.to_owned()),
            _ => ("INFO", format!(r#"{{"id":"{IMAGE}","status":"saving"}}"#)),
        };
        let line = format!(
            r#"{{"message_id":"00000000-0000-4000-8000-{number:012x}","publisher_id":"image.h",
            "event_type":"{event_type}","priority":"{priority}","timestamp":"{timestamp}",
            "payload":{payload}}}"#
        );
        RecordReader::new("test").read(line.as_bytes()).unwrap()
    }

    /// The life of an old image has the failures of the times of its uploads, each once, and no others.
    #[test]
    fn a_life_has_the_failures_of_its_uploads() {
        let directory = tempfile::tempdir().unwrap();
        let records = vec![
            event(0, "image.prepare", "2024-11-24 12:00:00"),
            event(1, "image.upload", "2024-11-24 12:10:00"),
            event(2, "image.prepare", "2024-11-24 18:00:00"),
            // The second upload may have failed until a day after its begin.
            event(3, "image.upload", "2024-11-25 18:00:00"),
            event(4, "image.upload", "2024-11-25 18:00:01"),
            event(5, "image.upload", "2025-03-01 12:00:00"),
            event(6, "image.prepare", "2025-06-01 12:00:00"),
            // The third one ends late.
            event(7, "image.upload", "2025-06-05 12:00:00"),
            event(8, "image.delete", "2025-06-05 12:00:00"),
            event(9, "image.upload", "2025-06-05 12:00:01"),
        ];
        let batch = ArchiveBatch { records, ..ArchiveBatch::default() };
        ArchiveWriter::open(directory.path()).unwrap().append(&batch).unwrap();
        let archive = Archive::open(directory.path()).unwrap();
        let mut failures = Vec::new();
        // A program may wait without a deadline.
        let deadline = std::time::Duration::MAX;
        let read = archive.read_life(&[IMAGE.to_owned()], deadline, |record| {
            if record.subject.is_none() {
                failures.push(record.message_id.as_u128() & 0xff);
            }
        });
        read.unwrap();
        assert_eq!(failures, [1, 3, 7]);
        let mut records = 0;
        archive.read_life(&[], deadline, |_| records += 1).unwrap();
        assert_eq!(records, 0);
    }

    /// An upload at the end of the calendar, as a broken clock sends it, has an interval.
    #[test]
    fn intervals_end_with_the_calendar() {
        let last = time::PrimitiveDateTime::MAX.assume_utc();
        let uploads = UploadTimes { begins: vec![last], ends: Vec::new() };
        assert_eq!(uploads.intervals(), [last..last]);
    }
}
