//! The names of the archive's files: [`FileName`].

use std::fmt;
use std::fs;
use std::path::Path;

use time::{Duration, OffsetDateTime, UtcOffset};

use crate::error::{ArchiveError, Result};
use crate::question::event_filter::EventFilter;
use crate::record::event_record::FIRST_NOTIFICATION;

/// The name of a file of events: the month and the kind.
///
/// # Examples
///
/// ```
/// use notify_archive::store::FileName;
///
/// let name: FileName = "2026-11.sqlite".parse().unwrap();
/// assert_eq!(name.to_string(), "2026-11.sqlite");
/// assert!("control.sqlite".parse::<FileName>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    year: i32,
    month: u8,
    is_undated: bool,
}

impl FileName {
    /// Returns the file of an event by its time and the time of its reception.
    ///
    /// An event more than two days from its reception goes to the undated file of the reception's month:
    /// clocks at 1970 and 2099 occur, and retention must not delete such an event at once. An event from a
    /// file has no reception. It is undated before 2010, when Glance sent its first notification, and more
    /// than two days after `now`.
    pub(crate) fn of_event(
        timestamp: OffsetDateTime,
        received_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        let earliest = received_at.map_or(FIRST_NOTIFICATION, |received| received - MOST_SKEW);
        let latest = received_at.unwrap_or(now).saturating_add(MOST_SKEW);
        if (earliest..=latest).contains(&timestamp) {
            return Self::of_month(timestamp, false);
        }
        Self::undated(received_at.unwrap_or(now))
    }

    /// Returns the file for undated events and unreadable messages of the reception's month.
    pub(crate) fn undated(received_at: OffsetDateTime) -> Self {
        Self::of_month(received_at, true)
    }

    fn of_month(time: OffsetDateTime, is_undated: bool) -> Self {
        // At the ends of the calendar, a time has no form in UTC.
        let time = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
        Self { year: time.year(), month: time.month().into(), is_undated }
    }

    /// Returns `true` for a file of undated events and unreadable messages.
    pub fn is_undated(self) -> bool {
        self.is_undated
    }

    /// Returns `true` if a file of dated events lies outside the interval of a filter.
    pub(crate) fn is_outside(self, filter: &EventFilter) -> bool {
        let starts_after = |time| self > Self::of_month(time, false);
        !self.is_undated
            && (filter.since.is_some_and(|since| self.ends_before(since))
                || filter.until.is_some_and(starts_after))
    }

    /// Returns `true` if the month ends at or before a time, in UTC.
    pub(crate) fn ends_before(self, time: OffsetDateTime) -> bool {
        let other = Self::of_month(time, false);
        (self.year, self.month) < (other.year, other.month)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_undated { UNDATED } else { "" };
        write!(f, "{prefix}{:04}-{:02}{SUFFIX}", self.year, self.month)
    }
}

impl std::str::FromStr for FileName {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let stem = text.strip_suffix(SUFFIX).ok_or(())?;
        let (is_undated, stem) = match stem.strip_prefix(UNDATED) {
            Some(stem) => (true, stem),
            None => (false, stem),
        };
        let (year, month) = stem.split_once('-').ok_or(())?;
        let is_number =
            |text: &str, width| text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(year, 4) || !is_number(month, 2) {
            return Err(());
        }
        let name = Self {
            year: year.parse().map_err(drop)?,
            month: month.parse().map_err(drop)?,
            is_undated,
        };
        if (1..=12).contains(&name.month) { Ok(name) } else { Err(()) }
    }
}

/// Returns the names of the event files in a directory, in their order.
///
/// # Errors
///
/// Returns an error if the directory cannot be read.
pub(crate) fn file_names(directory: &Path) -> Result<Vec<FileName>> {
    let io = |error| ArchiveError::io("read", directory, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        names.extend(name.to_str().and_then(|name| name.parse::<FileName>().ok()));
    }
    names.sort();
    Ok(names)
}

/// The prefix of files for undated events.
const UNDATED: &str = "undated-";
/// The ending of all files.
const SUFFIX: &str = ".sqlite";

/// The largest distance of a plausible timestamp from its reception.
pub(super) const MOST_SKEW: Duration = Duration::days(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn file(timestamp: i64, received: Option<i64>, now: i64) -> String {
        let at = |day: i64| OffsetDateTime::UNIX_EPOCH + Duration::days(day);
        FileName::of_event(at(timestamp), received.map(at), at(now)).to_string()
    }

    /// Clocks at 1970 and 2099 do not decide how long an event is kept.
    #[test]
    fn implausible_times_are_filed_by_reception() {
        assert_eq!(file(20_780, Some(20_781), 0), "2026-11.sqlite");
        assert_eq!(file(20_778, Some(20_781), 0), "undated-2026-11.sqlite");
        assert_eq!(file(0, Some(20_781), 0), "undated-2026-11.sqlite");
        assert_eq!(file(47_000, Some(20_781), 0), "undated-2026-11.sqlite");
        assert_eq!(file(15_000, None, 20_781), "2011-01.sqlite");
        assert_eq!(file(0, None, 20_781), "undated-2026-11.sqlite");
        assert_eq!(file(20_790, None, 20_781), "undated-2026-11.sqlite");
    }

    /// Months are those of UTC, whatever offset a time has.
    #[test]
    fn months_are_those_of_utc() {
        let name: FileName = "2026-11.sqlite".parse().unwrap();
        // In Berlin, November ended 30 minutes ago. In UTC, it ends in 30 minutes.
        let last = OffsetDateTime::from_unix_timestamp(1_796_081_400).unwrap();
        let last = last.to_offset(UtcOffset::from_hms(1, 0, 0).unwrap());
        assert_eq!(FileName::of_event(last, Some(last), last), name);
        assert!(!name.ends_before(last) && name.ends_before(last + Duration::HOUR));
        let filter = EventFilter { since: Some(last), ..EventFilter::default() };
        assert!(!name.is_outside(&filter));
    }

    /// No other file in the directory is taken for one of the archive's.
    #[test]
    fn only_its_own_names_parse() {
        for name in ["2026-11.sqlite", "undated-2026-02.sqlite"] {
            assert_eq!(name.parse::<FileName>().unwrap().to_string(), name);
        }
        for name in [
            "2026-13.sqlite",
            "2026-11.sqlite-wal",
            "control.sqlite",
            "26-11.sqlite",
            "+026-11.sqlite",
            "x",
        ] {
            assert!(name.parse::<FileName>().is_err(), "{name}");
        }
    }
}
