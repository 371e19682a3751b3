//! Everything that may belong to the life of one image or task: [`Archive::read_life`].

use std::ops::Range;
use std::time::Instant;

use notify_core::Priority;
use time::{Duration, OffsetDateTime};

use super::archive::{Archive, ReadScope};
use super::event_row::RecordDetail;
use crate::error::Result;
use crate::question::event_filter::EventFilter;
use crate::record::event_record::EventRecord;

impl Archive {
    /// Calls `add` with each record that may belong to the life of an image or task, by its id or by the
    /// image's name, with its body: give them to a [`Timeline`](crate::question::Timeline).
    ///
    /// These are the events that name it, and failed uploads of the same time that name no image.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or `deadline` passes.
    pub fn read_life(
        &self,
        subject: &str,
        deadline: std::time::Duration,
        mut add: impl FnMut(&EventRecord),
    ) -> Result<()> {
        let end = Instant::now() + deadline;
        let scope = ReadScope { detail: RecordDetail::Bodies, undated: true, deadline };
        let filter = EventFilter { images: vec![subject.to_owned()], ..EventFilter::default() };
        let mut span: Option<Range<OffsetDateTime>> = None;
        self.read(&filter, scope, |record| {
            let time = record.timestamp;
            span = Some(
                span.take().map_or(time..time, |span| span.start.min(time)..span.end.max(time)),
            );
            add(record);
        })?;
        let Some(span) = span else { return Ok(()) };
        let failures = EventFilter {
            events: "image.upload".parse().into_iter().collect(),
            priorities: vec![Priority::Error],
            since: Some(span.start),
            until: Some(span.end + Duration::DAY),
            ..EventFilter::default()
        };
        let scope = ReadScope { deadline: end.saturating_duration_since(Instant::now()), ..scope };
        self.read(&failures, scope, |record| {
            if record.subject.is_none() {
                add(record);
            }
        })
    }
}
