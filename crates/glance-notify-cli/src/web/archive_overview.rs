//! The extent of an archive and what its answers cover: [`ArchiveOverview`].

use std::collections::BTreeMap;
use std::ops::Range;

use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::question::{AttachedInterval, Coverage, EventFilter, GapReport, unknown_since};
use notify_archive::store::{FileSummary, read_gaps};
use notify_archive::{Archive, ArchiveError};

use super::page_request::PageRequest;
use super::units::grouped;

/// The extent of an archive. Reading it takes as long for a large archive as for a small one.
#[derive(Clone, Debug, Default)]
pub(super) struct ArchiveOverview {
    /// The times of the first and the last event.
    pub(super) span: Option<Range<OffsetDateTime>>,
    /// The time that the archive knows: of events and of attached sources.
    known: Option<Range<OffsetDateTime>>,
    /// The intervals in which each source was attached.
    pub(super) attached: BTreeMap<String, Vec<AttachedInterval>>,
    pub(super) files: Vec<FileSummary>,
}

impl ArchiveOverview {
    /// Reads the overview.
    pub(super) fn read(archive: &Archive) -> Result<Self, ArchiveError> {
        Ok(Self {
            span: archive.span()?,
            known: archive.known_span()?,
            attached: archive.attached()?,
            files: archive.file_summaries()?,
        })
    }

    /// Returns the latest time about which the archive knows anything: of an event, or of an attached source. It is
    /// not in the future, even if a clock was ahead.
    pub(super) fn latest(&self) -> OffsetDateTime {
        let latest = self.known.as_ref().map_or(OffsetDateTime::UNIX_EPOCH, |known| known.end);
        latest.min(OffsetDateTime::now_utc())
    }

    /// Returns the interval from the first to the latest known time.
    pub(super) fn whole(&self) -> Range<OffsetDateTime> {
        self.interval(&EventFilter::default())
    }

    /// Returns the interval of a filter. Without an end of its own, or with one in the future, it ends at the latest
    /// known time.
    pub(super) fn interval(&self, filter: &EventFilter) -> Range<OffsetDateTime> {
        // A time that has not come is not blind.
        let until = filter.until.filter(|until| *until <= OffsetDateTime::now_utc());
        let end = until.unwrap_or_else(|| self.latest());
        let first = self.known.as_ref().map_or(end, |known| known.start);
        let start = filter.since.unwrap_or(first).min(end);
        start..end
    }

    /// Returns the number of events, of those with implausible times, and of unreadable messages.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let events = |undated| {
            self.files.iter().filter(|f| f.name.is_undated() == undated).map(|f| f.events).sum()
        };
        (events(false), events(true), self.files.iter().map(|file| file.unreadable).sum())
    }

    /// Returns the coverage of an interval by each source.
    pub(super) fn coverage(&self, interval: &Range<OffsetDateTime>) -> Vec<Coverage> {
        let of = |(source, attached): (&String, &Vec<_>)| {
            Coverage::of(source, attached, interval.clone())
        };
        self.attached.iter().map(of).collect()
    }

    /// Returns sentences about what the numbers of a page cover, and which notifications are missing.
    pub(super) fn sentences(
        &self,
        request: &PageRequest<'_>,
        archive: &Archive,
        interval: &Range<OffsetDateTime>,
        with_undated: bool,
    ) -> Result<Vec<String>, ArchiveError> {
        let gaps = missing(request, archive, interval)?;
        Ok(self.sentences_with(request, &gaps, interval, with_undated))
    }

    /// Returns the same sentences for missing notifications that are known.
    pub(super) fn sentences_with(
        &self,
        request: &PageRequest<'_>,
        gaps: &GapReport,
        interval: &Range<OffsetDateTime>,
        with_undated: bool,
    ) -> Vec<String> {
        let calendar = &request.selection.calendar;
        let coverage = self.coverage(interval);
        let mut sentences: Vec<_> = coverage.iter().map(|c| c.shown(calendar)).collect();
        let now = OffsetDateTime::now_utc();
        sentences.extend(unknown_since(&self.attached, interval.end, now, calendar));
        let (dated, undated, unreadable) = self.counts();
        if sentences.is_empty() {
            let span = self.span.as_ref().map(|span| {
                format!(" from {} to {}", calendar.shown(span.start), calendar.shown(span.end))
            });
            let undated = (undated > 0 && with_undated)
                .then(|| format!(" and {} with implausible times", grouped(undated)));
            sentences.push(format!(
                "coverage: not known for imported files; the archive holds {} events{}{}",
                grouped(dated),
                span.unwrap_or_default(),
                undated.unwrap_or_default()
            ));
        }
        if undated > 0 && !with_undated {
            sentences.push(format!(
                "{} events with implausible times left out: the search has a filter for them",
                grouped(undated)
            ));
        }
        if unreadable > 0 {
            sentences.push(format!(
                "{} unreadable messages left out: the page Health lists them",
                grouped(unreadable)
            ));
        }
        sentences.extend(gaps.sentences(calendar));
        sentences
    }
}

/// Returns the notifications that are missing in an interval by their numbers.
pub(super) fn missing(
    request: &PageRequest<'_>,
    archive: &Archive,
    interval: &Range<OffsetDateTime>,
) -> Result<GapReport, ArchiveError> {
    // The last event itself belongs to the interval.
    let until = interval.end.saturating_add(Duration::MICROSECOND);
    let filter =
        EventFilter { since: Some(interval.start), until: Some(until), ..EventFilter::default() };
    read_gaps(std::slice::from_ref(archive), &filter, request.site.deadline)
}
