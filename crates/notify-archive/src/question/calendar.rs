//! Days and months of a time zone: [`Calendar`].

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned};
use time::OffsetDateTime;

/// A time zone, in which answers show times and reports find the bounds of days and months.
///
/// # Examples
///
/// ```
/// use notify_archive::question::Calendar;
/// use time::OffsetDateTime;
///
/// let calendar = Calendar::new("Europe/Berlin").unwrap();
/// let time = OffsetDateTime::from_unix_timestamp(1_774_745_999).unwrap();
/// assert_eq!(calendar.shown(time), "2026-03-29T01:59:59+01:00");
/// assert_eq!(calendar.month(time), "2026-03");
/// // On the next second, summer time begins.
/// let range = calendar.interval("2026-03-29").unwrap();
/// assert_eq!((range.end - range.start).whole_hours(), 23);
/// ```
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// Returns the calendar of UTC.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// Returns the calendar of a time zone of the IANA database, such as `Europe/Berlin`, of an offset such
    /// as `+02:00`, or of `local`, the time zone of the system.
    ///
    /// Uses the database of the system, and an embedded one if the system has none.
    ///
    /// # Errors
    ///
    /// Returns a text that shows the accepted forms.
    pub fn new(name: &str) -> Result<Self, String> {
        let zone = match name {
            "local" => TimeZone::try_system(),
            _ => DateTimeParser::new().parse_time_zone(name),
        };
        Ok(Self { zone: zone.map_err(|_| EXPECTED_ZONE)? })
    }

    /// Returns a time to the second, with its offset: `2026-11-24T12:00:00+01:00`, or `…Z` for UTC.
    pub fn shown(&self, time: OffsetDateTime) -> String {
        let offset = if self.zone == TimeZone::UTC { "Z" } else { "%:z" };
        self.format(time, &format!("%Y-%m-%dT%H:%M:%S{offset}"))
    }

    /// Returns the time of day to the millisecond: `12:00:00.123`.
    pub fn clock(&self, time: OffsetDateTime) -> String {
        self.format(time, "%H:%M:%S%.3f")
    }

    /// Returns the day on which a time falls: `2026-11-24`.
    pub fn day(&self, time: OffsetDateTime) -> String {
        self.format(time, "%Y-%m-%d")
    }

    /// Returns the month in which a time falls: `2026-11`.
    pub fn month(&self, time: OffsetDateTime) -> String {
        self.format(time, "%Y-%m")
    }

    /// Returns the end of the day in which a time falls. A day has 23 to 25 hours.
    pub fn end_of_day(&self, time: OffsetDateTime) -> OffsetDateTime {
        self.end_of(time, Unit::Day)
    }

    /// Returns the end of the month in which a time falls.
    pub fn end_of_month(&self, time: OffsetDateTime) -> OffsetDateTime {
        self.end_of(time, Unit::Month)
    }

    /// Returns the half-open interval that a text names: a month `2026-11`, a day `2026-11-24`, or the
    /// instant `2026-11-24T12:00:00`, with or without an offset.
    ///
    /// A time without an offset is of this calendar's time zone. Where clocks skip it, it is the time
    /// after the gap; where clocks repeat it, the first. A zone behind a time, such as `[Europe/Berlin]`, is refused.
    ///
    /// # Errors
    ///
    /// Returns a text that shows the accepted forms.
    pub fn interval(&self, text: &str) -> Result<Range<OffsetDateTime>, String> {
        let text = text.trim();
        // The parsers accept a zone or a calendar in brackets, and ignore it.
        if text.contains('[') {
            return Err(EXPECTED_TIME.to_owned());
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(from_jiff(instant)..from_jiff(instant));
        }
        let (civil, unit) = if let Ok(month) = DateTime::strptime("%Y-%m-%d", format!("{text}-01"))
        {
            (month, Some(Unit::Month))
        } else if let Ok(day) = DateTime::strptime("%Y-%m-%d", text) {
            (day, Some(Unit::Day))
        } else if let Ok(time) = text.parse::<DateTime>() {
            (time, None)
        } else {
            return Err(EXPECTED_TIME.to_owned());
        };
        let start = civil.to_zoned(self.zone.clone()).map_err(|_| EXPECTED_TIME)?;
        let start = from_jiff(start.timestamp());
        Ok(start..unit.map_or(start, |unit| self.end_of(start, unit)))
    }

    /// Returns the end of the day or month in which a time falls.
    fn end_of(&self, time: OffsetDateTime, unit: Unit) -> OffsetDateTime {
        let zoned = self.zoned(time);
        let (start, step) = match unit {
            Unit::Month => (zoned.first_of_month(), 1.month()),
            _ => (Ok(zoned), 1.day()),
        };
        let end = start.and_then(|start| start.start_of_day()?.checked_add(step)?.start_of_day());
        // Beyond the year 9999, there is no next day.
        end.map_or(OffsetDateTime::from_unix_timestamp(MAX_SECOND).unwrap_or(time), |end| {
            from_jiff(end.timestamp())
        })
    }

    fn format(&self, time: OffsetDateTime, format: &str) -> String {
        self.zoned(time).strftime(format).to_string()
    }

    /// Returns a time in this zone. The last day of the year 9999 is beyond jiff's range: the end of the
    /// range stands for it.
    fn zoned(&self, time: OffsetDateTime) -> Zoned {
        let range = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
        let nanosecond = time.unix_timestamp_nanos().clamp(*range.start(), *range.end());
        let timestamp = Timestamp::from_nanosecond(nanosecond).unwrap_or(Timestamp::MAX);
        timestamp.to_zoned(self.zone.clone())
    }
}

/// Converts an instant.
fn from_jiff(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(timestamp.as_nanosecond())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The last second of the year 9999.
const MAX_SECOND: i64 = 253_402_300_799;

/// The message for an unknown time zone.
const EXPECTED_ZONE: &str =
    "expected `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`";

/// The message for a time of another form.
const EXPECTED_TIME: &str =
    "expected a time such as `2026-11`, `2026-11-24`, `2026-11-24T12:00` or `2026-11-24T12:00:00Z`";

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(calendar: &Calendar, text: &str) -> (String, i64) {
        let range = calendar.interval(text).unwrap();
        (Calendar::utc().shown(range.start), (range.end - range.start).whole_hours())
    }

    /// Months and days begin at the zone's midnight, also where clocks change at midnight.
    #[test]
    fn months_and_days_begin_at_local_midnight() {
        let utc = Calendar::utc();
        assert_eq!(interval(&utc, "2024-02"), ("2024-02-01T00:00:00Z".into(), 29 * 24));
        let berlin = Calendar::new("Europe/Berlin").unwrap();
        assert_eq!(interval(&berlin, "2026-10"), ("2026-09-30T22:00:00Z".into(), 31 * 24 + 1));
        assert_eq!(interval(&berlin, "2026-10-25"), ("2026-10-24T22:00:00Z".into(), 25));
        // In Chile, this day has no midnight.
        let santiago = Calendar::new("America/Santiago").unwrap();
        assert_eq!(interval(&santiago, "2026-09-06"), ("2026-09-06T04:00:00Z".into(), 23));
        assert_eq!(interval(&utc, "2026-11-24T12:00"), ("2026-11-24T12:00:00Z".into(), 0));
        assert_eq!(interval(&berlin, "2026-11-24 12:00:00+00:00").0, "2026-11-24T12:00:00Z");
        assert_eq!(interval(&utc, "9999-12").1, 31 * 24 - 1);
    }

    /// A form that could mean two things is refused.
    #[test]
    fn refuses_other_forms() {
        for text in ["", "24.11.2026", "2026", "2026-13", "yesterday", "2026-11-31"] {
            assert!(Calendar::utc().interval(text).is_err(), "{text}");
        }
        let tokyo = Calendar::new("Asia/Tokyo").unwrap();
        for time in
            ["2026-11-24", "2026-11-24T12:00", "2026-11-24T12:00Z", "2026-11-24T12:00+01:00"]
        {
            for annotation in ["[Asia/Tokyo]", "[Europe/Paris]", "[+09:00]", "[u-ca=hebrew]"] {
                assert!(tokyo.interval(time).is_ok(), "{time}");
                let text = format!("{time}{annotation}");
                assert_eq!(tokyo.interval(&text), Err(EXPECTED_TIME.to_owned()), "{text}");
            }
        }
        for zone in ["", "+", "+2", "+26:00", "+02:60", "Mars/Olympus", "+é0", "../x"] {
            assert!(Calendar::new(zone).unwrap_err().contains("Europe/Berlin"), "{zone}");
        }
    }

    /// A time shows the offset of the calendar's zone, whatever offset it came with.
    #[test]
    fn times_follow_the_zone() {
        let time = OffsetDateTime::from_unix_timestamp(1_337_182_056).unwrap();
        let time = time.to_offset(time::UtcOffset::from_hms(5, 0, 0).unwrap());
        for (zone, shown) in [
            ("UTC", "2012-05-16T15:27:36Z"),
            ("+02:00", "2012-05-16T17:27:36+02:00"),
            ("-0330", "2012-05-16T11:57:36-03:30"),
            ("Europe/Berlin", "2012-05-16T17:27:36+02:00"),
        ] {
            assert_eq!(Calendar::new(zone).unwrap().shown(time), shown);
        }
    }

    /// Implausible times are shown, not refused: a broken clock must not end a report.
    #[test]
    fn the_first_and_the_last_time_are_shown() {
        let (first, last) = (time::PrimitiveDateTime::MIN, time::PrimitiveDateTime::MAX);
        let samoa = Calendar::new("Pacific/Apia").unwrap();
        assert!(samoa.shown(first.assume_utc()).starts_with("-9999"));
        assert!(samoa.shown(last.assume_utc()).starts_with("9999-12-31"));
    }
}
