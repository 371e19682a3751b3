//! The coverage of an answer: [`Coverage`].
//!
//! No publisher of OpenStack numbers its notifications. A reader can only say when it was attached, and
//! which numbers are missing of a publisher that numbers them.

use std::collections::BTreeMap;
use std::ops::Range;

use notify_core::listener::SequenceGaps;
use time::{Duration, OffsetDateTime};

use super::calendar::Calendar;
use crate::record::event_record::EventRecord;

/// The times at which one source was attached, of all times that an answer is about.
///
/// # Examples
///
/// ```
/// use notify_archive::question::{AttachedInterval, Calendar, Coverage};
/// use time::{Duration, OffsetDateTime};
///
/// let start = OffsetDateTime::UNIX_EPOCH;
/// let until = start + Duration::hours(10);
/// let attached = AttachedInterval {
///     attached_at: start,
///     detached_at: Some(start + Duration::hours(9)),
///     reason: Some("binding lost".into()),
/// };
/// let coverage = Coverage::of("rabbit-1", &[attached], start..until);
/// assert_eq!(
///     coverage.shown(&Calendar::utc()),
///     "coverage of rabbit-1: 90.00 %; blind 1970-01-01T09:00:00Z to 1970-01-01T10:00:00Z (binding lost)",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coverage {
    /// The name of the source.
    pub source: String,
    /// The interval that the answer is about.
    pub interval: Range<OffsetDateTime>,
    /// The blind times within the interval, each with the reason for its begin, in order.
    pub blind: Vec<(Range<OffsetDateTime>, String)>,
}

/// An interval in which a source was attached and bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedInterval {
    /// The begin.
    pub attached_at: OffsetDateTime,
    /// The end. `None` if the source is still attached.
    pub detached_at: Option<OffsetDateTime>,
    /// The reason for the end. `None` if no end was recorded: the source was last seen then, and may be attached.
    pub reason: Option<String>,
}

impl Coverage {
    /// Computes the coverage of `interval` by the intervals in which a source was attached.
    pub fn of(
        source: &str,
        attached: &[AttachedInterval],
        interval: Range<OffsetDateTime>,
    ) -> Self {
        // An interval whose end lies before its begin is empty.
        let interval = interval.start.min(interval.end)..interval.end;
        let mut attached: Vec<_> = attached.iter().collect();
        attached.sort_by_key(|attached| attached.attached_at);
        let mut blind = Vec::new();
        let mut seen_until = interval.start;
        let mut reason = "not attached yet";
        for one in attached {
            let start = one.attached_at.clamp(interval.start, interval.end);
            if start > seen_until {
                blind.push((seen_until..start, reason.to_owned()));
            }
            let end = one.detached_at.unwrap_or(interval.end).clamp(interval.start, interval.end);
            if end >= seen_until {
                seen_until = end.max(start);
                reason = one.reason.as_deref().unwrap_or(NO_END);
            }
        }
        if seen_until < interval.end {
            blind.push((seen_until..interval.end, reason.to_owned()));
        }
        Self { source: source.to_owned(), interval, blind }
    }

    /// Returns the blind time.
    pub fn blind_time(&self) -> Duration {
        self.blind.iter().map(|(range, _)| range.end - range.start).sum()
    }

    /// Returns the covered share of the interval: `99.99 %`. It is rounded down, so that an incomplete coverage is
    /// never shown as 100 %. An empty interval, such as one that begins after the last known time, has none.
    pub fn share(&self) -> Option<String> {
        let all = (self.interval.end - self.interval.start).whole_microseconds();
        let seen = all - self.blind_time().whole_microseconds().min(all);
        let hundredths = (seen * 10_000).checked_div(all)?;
        Some(format!("{}.{:02} %", hundredths / 100, hundredths % 100))
    }

    /// Returns the coverage as one line.
    pub fn shown(&self, calendar: &Calendar) -> String {
        let share = self.share();
        let share = share.as_deref().unwrap_or("nothing is known about this time");
        let mut parts = vec![format!("coverage of {}: {share}", self.source)];
        for (range, reason) in self.blind.iter().take(SHOWN_INTERVALS) {
            let (start, end) = (calendar.shown(range.start), calendar.shown(range.end));
            parts.push(format!("blind {start} to {end} ({reason})"));
        }
        if self.blind.len() > SHOWN_INTERVALS {
            parts.push(format!("and {} more intervals", self.blind.len() - SHOWN_INTERVALS));
        }
        parts.join("; ")
    }
}

/// Returns a sentence that says since when no source is attached, for an answer whose interval, until `until`, reaches
/// this time. Without it, an answer that ends with the last known time would look complete.
///
/// Returns `None` if a source is attached at `now`. That source was seen a short time ago, because the archive records
/// every ten seconds that it still is.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
///
/// use notify_archive::question::{AttachedInterval, Calendar, unknown_since};
/// use time::{Duration, OffsetDateTime};
///
/// let start = OffsetDateTime::UNIX_EPOCH;
/// let seen = start + Duration::hours(9);
/// let interval = AttachedInterval {
///     attached_at: start,
///     detached_at: Some(seen),
///     reason: Some("the archive stopped".into()),
/// };
/// let attached = BTreeMap::from([("rabbit-1".to_owned(), vec![interval])]);
/// assert_eq!(
///     unknown_since(&attached, seen, start + Duration::DAY, &Calendar::utc()).unwrap(),
///     "nothing is known since 1970-01-01T09:00:00Z (the archive stopped)",
/// );
/// ```
pub fn unknown_since(
    attached: &BTreeMap<String, Vec<AttachedInterval>>,
    until: OffsetDateTime,
    now: OffsetDateTime,
    calendar: &Calendar,
) -> Option<String> {
    let is_attached = |interval: &AttachedInterval| {
        let is_recent = |seen: OffsetDateTime| now - seen <= LONGEST_SILENCE;
        interval.detached_at.is_none_or(|seen| interval.reason.is_none() && is_recent(seen))
    };
    let intervals = || attached.values().flatten();
    if intervals().any(is_attached) {
        return None;
    }
    let last = intervals().max_by_key(|interval| interval.detached_at)?;
    let seen = last.detached_at.filter(|seen| *seen <= until)?;
    let reason = last.reason.as_deref().unwrap_or(NO_END);
    Some(format!("nothing is known since {} ({reason})", calendar.shown(seen)))
}

/// The coverage of an answer from files or standard input, where attachment is not known.
///
/// It counts the records, and finds gaps where a publisher numbers its notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputCoverage {
    /// The names of the inputs.
    pub names: Vec<String>,
    /// The number of records, without copies.
    pub records: u64,
    /// The number of copies: records whose id came before.
    pub copies: u64,
    /// The number of lines that hold no notification.
    pub unreadable: u64,
    /// The number of lines that were passed over, because they hold none of the texts that the question
    /// asks for.
    pub skipped: u64,
    /// The first and the last timestamp.
    pub span: Option<(OffsetDateTime, OffsetDateTime)>,
    /// The gaps in the numbers of the records.
    pub gaps: SequenceGaps,
}

impl InputCoverage {
    /// Counts a record.
    pub fn add(&mut self, record: &EventRecord) {
        self.records += 1;
        let (first, last) = self.span.unwrap_or((record.timestamp, record.timestamp));
        self.span = Some((first.min(record.timestamp), last.max(record.timestamp)));
        if let Some(sequence) = &record.sequence {
            self.gaps.add(sequence);
        }
    }

    /// Returns the coverage as one line.
    pub fn shown(&self, calendar: &Calendar) -> String {
        let names = self.names.join(", ");
        let mut parts = match self.span {
            None if self.skipped > 0 => vec![format!("coverage: no event in {names} can match")],
            None => vec![format!("coverage: no event in {names}")],
            Some((first, last)) => vec![
                format!(
                    "coverage: not known for files; {} events from {} to {} in {names}",
                    self.records,
                    calendar.shown(first),
                    calendar.shown(last),
                ),
                "an event that is not in there is not counted".to_owned(),
            ],
        };
        for (count, what) in [
            (self.copies, "copies left out, as each message_id counts once"),
            (self.unreadable, "lines without a notification left out"),
            (self.skipped, "lines that cannot match not read"),
            (self.gaps.missing(), "numbered events missing"),
            (self.gaps.forgotten(), "more numbered events possibly missing"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join("; ")
    }
}

/// The number of blind intervals that one line shows.
const SHOWN_INTERVALS: usize = 5;

/// The reason for an end that was not recorded.
const NO_END: &str = "not seen since";

/// The longest time since an attached source was seen: six heartbeats of the service.
const LONGEST_SILENCE: Duration = Duration::MINUTE;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::hours(hour)
    }

    fn attached(start: i64, end: Option<i64>) -> AttachedInterval {
        AttachedInterval {
            attached_at: at(start),
            detached_at: end.map(at),
            reason: Some(format!("lost {start}")),
        }
    }

    /// Overlapping and nested intervals count once, and parts outside of the question do not count.
    #[test]
    fn blind_time_is_the_time_that_no_interval_covers() {
        let blind = |intervals: &[AttachedInterval]| {
            let coverage = Coverage::of("s", intervals, at(10)..at(20));
            let hours = |(range, reason): &(Range<OffsetDateTime>, String)| {
                let hour = |time: OffsetDateTime| (time - at(0)).whole_hours();
                (hour(range.start), hour(range.end), reason.clone())
            };
            coverage.blind.iter().map(hours).collect::<Vec<_>>()
        };
        assert_eq!(blind(&[]), [(10, 20, "not attached yet".to_owned())]);
        assert_eq!(blind(&[attached(0, None)]), []);
        assert_eq!(
            blind(&[attached(15, Some(16)), attached(0, Some(12)), attached(2, Some(5))]),
            [(12, 15, "lost 0".to_owned()), (16, 20, "lost 15".to_owned())],
        );
        assert_eq!(
            blind(&[attached(12, Some(30)), attached(25, None)]),
            [(10, 12, "not attached yet".to_owned())]
        );
        assert_eq!(blind(&[attached(0, Some(5))]), [(10, 20, "lost 0".to_owned())]);
    }

    /// An interval that ends before it begins is empty. It comes from `since` after the last event.
    #[test]
    fn an_interval_that_ends_before_it_begins_has_no_blind_time() {
        let coverage = Coverage::of("s", &[attached(0, Some(5))], at(20)..at(10));
        assert_eq!(coverage.share(), None);
        assert_eq!((coverage.interval, coverage.blind), (at(10)..at(10), Vec::new()));
    }

    /// An answer that reaches the time at which the last source stopped says so, and no other does.
    #[test]
    fn an_answer_says_since_when_nothing_is_known() {
        let calendar = Calendar::utc();
        let sources = |north: &AttachedInterval, south: &AttachedInterval| {
            let one = |name: &str, last: &AttachedInterval| {
                (name.to_owned(), vec![attached(0, Some(5)), last.clone()])
            };
            BTreeMap::from([one("north", north), one("south", south)])
        };
        let (early, late) = (attached(6, Some(10)), attached(6, Some(12)));
        let open = AttachedInterval { reason: None, ..late.clone() };
        let stopped = "nothing is known since 1970-01-01T12:00:00Z (lost 6)";
        let silent = "nothing is known since 1970-01-01T12:00:00Z (not seen since)";
        for (last, until, silence, expected) in [
            (&late, 12, Duration::ZERO, Some(stopped)),
            (&late, 20, Duration::DAY, Some(stopped)),
            (&late, 11, Duration::DAY, None),
            (&open, 12, LONGEST_SILENCE, None),
            (&open, 12, LONGEST_SILENCE + Duration::SECOND, Some(silent)),
        ] {
            let found =
                unknown_since(&sources(last, &early), at(until), at(12) + silence, &calendar);
            assert_eq!(found.as_deref(), expected, "{last:?}, {until}, {silence}");
        }
        assert_eq!(unknown_since(&BTreeMap::new(), at(12), at(12), &calendar), None);
    }

    /// One blind second in a year does not disappear in rounding.
    #[test]
    fn incomplete_coverage_is_never_shown_as_complete() {
        let end = at(365 * 24);
        let interval = AttachedInterval {
            attached_at: at(0),
            detached_at: Some(end - Duration::SECOND),
            reason: None,
        };
        let shown = Coverage::of("s", &[interval], at(0)..end).shown(&Calendar::utc());
        assert!(shown.starts_with("coverage of s: 99.99 %; blind 1970-12-31T23:59:59Z"), "{shown}");
    }
}
