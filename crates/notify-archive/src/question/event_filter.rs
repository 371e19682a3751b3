//! The filter that all questions share: [`EventFilter`].

use std::ops::Range;

use notify_core::codec::LineFilter;
use notify_core::event::EventGlob;
use notify_core::{EventType, Priority};
use time::OffsetDateTime;

use crate::record::event_record::EventRecord;
use crate::record::image_ids::is_uuid;

/// A filter of records. An empty list accepts every record.
///
/// # Examples
///
/// ```
/// use notify_archive::question::EventFilter;
/// use time::{OffsetDateTime, Duration};
///
/// let now = OffsetDateTime::now_utc();
/// let filter = EventFilter { since: Some(now - Duration::HOUR), ..EventFilter::default() };
/// assert!(filter.accepts_time(now));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The event types. A record matches one of them.
    pub events: Vec<EventGlob>,
    /// The priorities.
    pub priorities: Vec<Priority>,
    /// The ids or names of images.
    pub images: Vec<String>,
    /// The ids of projects: of the owner, of the receiver, or of the user that made the request.
    pub projects: Vec<String>,
    /// The first time. A record at this time matches.
    pub since: Option<OffsetDateTime>,
    /// The end. A record at this time does not match: intervals are half-open.
    pub until: Option<OffsetDateTime>,
}

impl EventFilter {
    /// Returns `true` if the record passes all parts of the filter.
    pub fn accepts(&self, record: &EventRecord) -> bool {
        let is_one_of = |values: &[String], facts: &[Option<&str>]| {
            let mut facts = facts.iter().flatten();
            values.is_empty() || facts.any(|fact| values.iter().any(|value| value == fact))
        };
        self.accepts_time(record.timestamp)
            && self.accepts_kind(&record.event_type, record.priority)
            && is_one_of(&self.images, &[record.subject.as_deref(), record.name.as_deref()])
            && is_one_of(
                &self.projects,
                &[record.owner.as_deref(), record.receiver.as_deref(), record.context.project()],
            )
    }

    /// Returns `true` if records of this event type and priority can pass.
    pub(crate) fn accepts_kind(&self, event_type: &EventType, priority: Priority) -> bool {
        (self.priorities.is_empty() || self.priorities.contains(&priority))
            && (self.events.is_empty() || self.events.iter().any(|glob| glob.matches(event_type)))
    }

    /// Learns the ids of images whose name the filter has, so that events without a name match too.
    ///
    /// Call it with each record before [`accepts`](Self::accepts), in the order of time: an image's
    /// first event has its name, and downloads have only its id. Each call adds at most one id, at the end of
    /// [`images`](Self::images): if your records never end, remove the oldest from time to time.
    pub fn learn(&mut self, record: &EventRecord) {
        let (Some(subject), Some(name)) = (&record.subject, &record.name) else { return };
        let has = |images: &[String], text: &str| images.iter().any(|image| image == text);
        if has(&self.images, name) && !has(&self.images, subject) {
            self.images.push(subject.to_string());
        }
    }

    /// Returns `true` if the time lies in the half-open interval from `since` to `until`.
    pub fn accepts_time(&self, time: OffsetDateTime) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
    }

    /// Returns a filter of lines that passes every record that can pass this filter, if there is one that
    /// saves work: for ids of images, for projects, or for event types without `*` and `?`.
    ///
    /// An image's name makes none: downloads have only the id, and the filter may exclude the event that has both.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_archive::question::EventFilter;
    ///
    /// let events = vec!["image.delete".parse().unwrap()];
    /// let filter = EventFilter { events, ..EventFilter::default() };
    /// let lines = filter.line_filter().unwrap();
    /// assert!(lines.may_hold(br#"{"event_type":"image.delete"}"#));
    /// assert!(!lines.may_hold(br#"{"event_type":"image.create"}"#));
    /// ```
    pub fn line_filter(&self) -> Option<LineFilter> {
        if !self.images.iter().all(|image| is_uuid(image)) {
            return None;
        }
        // One part is enough: the others see what passes.
        LineFilter::new(&self.images).or_else(|| LineFilter::new(&self.projects)).or_else(|| {
            LineFilter::new(self.events.iter().map(EventGlob::exact).collect::<Option<Vec<_>>>()?)
        })
    }

    /// Returns the interval, if it has both ends.
    pub fn interval(&self) -> Option<Range<OffsetDateTime>> {
        Some(self.since?..self.until?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name makes no filter of lines, also beside an event type: another type of event may tell its id.
    #[test]
    fn a_name_makes_no_line_filter() {
        let lines = |image: &str| {
            let events = vec!["image.send".parse().unwrap()];
            let images = vec![image.to_owned()];
            EventFilter { events, images, ..EventFilter::default() }.line_filter()
        };
        assert!(lines("debian-12").is_none());
        assert!(lines("7290aba0-ea68-429f-a9ec-7df334e091e2").is_some());
    }
}
