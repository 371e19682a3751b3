//! The missing numbers of the publishers that number their notifications: [`GapReport`].
//!
//! It claims nothing about numbers before the first and after the last that arrived.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use uuid::Uuid;

use super::calendar::Calendar;

/// The notifications that are missing between others, by source, publisher and lane.
///
/// A gap shows that notifications are not here. They can be dropped or refused by their publisher, wait in
/// its spool, or be lost on the way.
///
/// Memory is bounded: it keeps the sums of 1 000 lanes and the latest five gaps of each, and counts the others.
///
/// # Examples
///
/// ```
/// use notify_archive::question::{Calendar, GapReport, LaneName, NumberGap};
/// use time::OffsetDateTime;
/// use uuid::Uuid;
///
/// let lane = LaneName {
///     publisher_id: "image.host1".into(),
///     lane: "notifications.info".into(),
///     source: Some("rabbit-1".into()),
/// };
/// let start = OffsetDateTime::UNIX_EPOCH;
/// let times = start..start + time::Duration::SECOND;
/// let mut report = GapReport::default();
/// report.add(lane, NumberGap { epoch: Uuid::from_u128(7), after: 12, before: 16, times });
/// assert_eq!(report.missing, 3);
/// assert_eq!(
///     report.sentences(&Calendar::utc()),
///     ["3 notifications of `image.host1`, lane `notifications.info`, from rabbit-1 are missing: \
///       3 between 12 and 16 (1970-01-01T00:00:00Z to 1970-01-01T00:00:01Z)"],
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GapReport {
    /// The number of missing notifications.
    pub missing: u64,
    /// The number of gaps.
    pub gaps: u64,
    /// The gaps by lane.
    pub lanes: BTreeMap<LaneName, LaneGaps>,
    /// Whether a publisher numbers its notifications. Without numbers there are no gaps to find.
    pub has_numbers: bool,
}

/// The lane of a publisher, and the source that it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneName {
    /// The name of the sender, such as `image.host1`. Empty if it was erased.
    pub publisher_id: String,
    /// The name of the lane, such as `notifications.info`.
    pub lane: String,
    /// The name of the source that delivered the notification before the gap, if it has one.
    pub source: Option<String>,
}

/// The gaps of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneGaps {
    /// The number of missing notifications.
    pub missing: u64,
    /// The number of gaps.
    pub gaps: u64,
    /// The latest five gaps, in the order of their times.
    pub latest: Vec<NumberGap>,
}

/// Consecutive numbers that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberGap {
    /// The random id of the publisher's run.
    pub epoch: Uuid,
    /// The number before the gap, which arrived.
    pub after: u64,
    /// The number behind the gap, which arrived.
    pub before: u64,
    /// The times of these two. The later one is the end.
    pub times: std::ops::Range<OffsetDateTime>,
}

impl NumberGap {
    /// Returns how many numbers are missing.
    pub fn missing(&self) -> u64 {
        self.before.saturating_sub(self.after).saturating_sub(1)
    }
}

impl GapReport {
    /// Adds a gap.
    pub fn add(&mut self, lane: LaneName, gap: NumberGap) {
        self.has_numbers = true;
        self.missing = self.missing.saturating_add(gap.missing());
        self.gaps += 1;
        let has_room = self.lanes.len() < MOST_LANES || self.lanes.contains_key(&lane);
        if has_room {
            self.lanes.entry(lane).or_default().add(gap);
        }
    }

    /// Returns the gaps in sentences: of ten lanes, and how many are missing in the others.
    pub fn sentences(&self, calendar: &Calendar) -> Vec<String> {
        if self.gaps == 0 {
            let none = "no numbered notification is missing".to_owned();
            return Vec::from_iter(self.has_numbers.then_some(none));
        }
        let shown = self.lanes.iter().take(SHOWN_LANES);
        let mut sentences: Vec<_> =
            shown.clone().map(|(lane, gaps)| gaps.sentence(lane, calendar)).collect();
        let told = shown.map(|(_, gaps)| gaps.missing).fold(0, u64::saturating_add);
        if self.missing > told {
            let (rest, are) = counted(self.missing - told);
            sentences.push(format!("{rest} of other lanes {are} missing"));
        }
        sentences
    }
}

impl LaneGaps {
    fn add(&mut self, gap: NumberGap) {
        self.missing = self.missing.saturating_add(gap.missing());
        self.gaps += 1;
        let place = self.latest.partition_point(|other| other.times.start <= gap.times.start);
        self.latest.insert(place, gap);
        if self.latest.len() > SHOWN_GAPS {
            self.latest.remove(0);
        }
    }

    /// Returns the gaps as one sentence.
    fn sentence(&self, lane: &LaneName, calendar: &Calendar) -> String {
        let publisher = match lane.publisher_id.as_str() {
            "" => "an unknown publisher".to_owned(),
            publisher => format!("`{publisher}`"),
        };
        let source = lane.source.as_ref().map(|source| format!(", from {source}"));
        let gap = |gap: &NumberGap| {
            let (start, end) = (calendar.shown(gap.times.start), calendar.shown(gap.times.end));
            let (missing, after, before) = (gap.missing(), gap.after, gap.before);
            format!("{missing} between {after} and {before} ({start} to {end})")
        };
        let mut gaps: Vec<_> = self.latest.iter().map(gap).collect();
        if self.gaps > gaps.len() as u64 {
            gaps.push(format!("and {} earlier gaps", self.gaps - gaps.len() as u64));
        }
        let (notifications, are) = counted(self.missing);
        format!(
            "{notifications} of {publisher}, lane `{}`{} {are} missing: {}",
            lane.lane,
            source.unwrap_or_default(),
            gaps.join(", "),
        )
    }
}

/// Returns a number of notifications in words, and the verb for it.
fn counted(number: u64) -> (String, &'static str) {
    match number {
        1 => ("1 notification".to_owned(), "is"),
        _ => (format!("{number} notifications"), "are"),
    }
}

/// The gaps that a report keeps for each lane.
const SHOWN_GAPS: usize = 5;
/// The lanes that sentences name.
const SHOWN_LANES: usize = 10;
/// The lanes that a report keeps.
const MOST_LANES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(after: u64, before: u64) -> NumberGap {
        let at = |number: u64| OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_secs(number);
        NumberGap { epoch: Uuid::nil(), after, before, times: at(after)..at(before) }
    }

    /// A report of many gaps and lanes keeps the latest gaps, and its sums stay exact.
    #[test]
    fn many_gaps_are_summed_and_the_latest_are_named() {
        let mut report = GapReport::default();
        for number in (0..100).rev() {
            report.add(LaneName::default(), gap(number * 10, number * 10 + 2));
        }
        let latest: Vec<_> = report.lanes[&LaneName::default()].latest.iter().collect();
        assert_eq!(
            latest.iter().map(|gap| gap.after).collect::<Vec<_>>(),
            [950, 960, 970, 980, 990]
        );
        for number in 0..2000 {
            let lane = LaneName { lane: format!("lane-{number:04}"), ..LaneName::default() };
            report.add(lane, gap(1, 4));
        }
        assert_eq!((report.missing, report.gaps), (100 + 4000, 2100));
        assert_eq!(report.lanes.len(), MOST_LANES);
        let sentences = report.sentences(&Calendar::utc());
        assert!(sentences[0].ends_with(", and 95 earlier gaps"), "{}", sentences[0]);
        assert_eq!(sentences.last().unwrap(), "3982 notifications of other lanes are missing");
        assert_eq!(sentences.len(), 11);
    }

    /// Without numbers a report says nothing, and with numbers it says that none is missing.
    #[test]
    fn says_that_nothing_is_missing_only_where_there_are_numbers() {
        let mut report = GapReport::default();
        assert!(report.sentences(&Calendar::utc()).is_empty());
        report.has_numbers = true;
        assert_eq!(report.sentences(&Calendar::utc()), ["no numbered notification is missing"]);
        report.add(LaneName::default(), gap(1, 3));
        let sentence = report.sentences(&Calendar::utc()).remove(0);
        assert!(
            sentence.starts_with("1 notification of an unknown publisher, lane ``"),
            "{sentence}"
        );
        assert!(sentence.contains(" is missing: 1 between 1 and 3 ("), "{sentence}");
    }
}
