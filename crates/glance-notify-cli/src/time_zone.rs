//! Times in texts, and the option `--tz` that chooses their time zone.
//!
//! Texts for people follow `--tz`. JSON always has UTC: a reader of it must not depend on your options.

use std::fmt;
use std::str::FromStr;

use glance_notify::time::{OffsetDateTime, UtcOffset};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// The option `--tz`.
#[derive(Clone, clap::Args)]
pub(crate) struct TimeZoneArg {
    /// Time zone of the times in texts: `UTC`, `local`, an offset such as `+02:00`, or a name such as
    /// `Europe/Berlin`. JSON has UTC.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) tz: DisplayZone,
}

/// The time zone in which texts show times.
#[derive(Clone, Debug)]
pub(crate) struct DisplayZone(TimeZone);

impl DisplayZone {
    /// The zone of JSON, and of texts without `--tz`.
    pub(crate) const UTC: Self = Self(TimeZone::UTC);

    /// Returns a time to the second: `2012-05-16T15:27:36Z` in UTC, and `2012-05-16T17:27:36+02:00` in
    /// another zone.
    pub(crate) fn second(&self, time: OffsetDateTime) -> String {
        let local = time.to_offset(self.offset_at(time));
        let (year, month, day) = local.to_calendar_date();
        let (hour, minute, second) = local.to_hms();
        let offset = OffsetSuffix(local.offset());
        let month = u8::from(month);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{offset}")
    }

    /// Returns the zone's offset from UTC at `time`.
    ///
    /// Times beyond jiff's range of ten thousand years have no offset.
    fn offset_at(&self, time: OffsetDateTime) -> UtcOffset {
        let seconds = Timestamp::from_second(time.unix_timestamp())
            .map_or(0, |timestamp| self.0.to_offset(timestamp).seconds());
        UtcOffset::from_whole_seconds(seconds).unwrap_or(UtcOffset::UTC)
    }
}

impl FromStr for DisplayZone {
    type Err = String;

    /// Parses `UTC`, `local`, an offset, or a name in the time zone database of the machine.
    ///
    /// # Errors
    ///
    /// Returns the message that clap shows if `text` is none of these.
    fn from_str(text: &str) -> Result<Self, String> {
        let zone = match text {
            "UTC" | "utc" | "Z" => Some(TimeZone::UTC),
            "local" => TimeZone::try_system().ok(),
            _ => parse_offset(text).or_else(|| TimeZone::get(text).ok()),
        };
        zone.map(Self).ok_or_else(|| {
            "expected `UTC`, `local`, an offset such as `+02:00`, or a name such as `Europe/Berlin`"
                .to_owned()
        })
    }
}

/// Parses `+HH:MM`, `+HHMM` or `+HH`, with either sign.
fn parse_offset(text: &str) -> Option<TimeZone> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(TimeZone::fixed)
}

/// The end of a time in RFC 3339: `Z` or an offset.
struct OffsetSuffix(UtcOffset);

impl fmt::Display for OffsetSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_utc() {
            return f.write_str("Z");
        }
        let (hours, minutes, _) = self.0.as_hms();
        let sign = if self.0.is_negative() { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
    }
}

/// Returns a time to the microsecond in UTC, like the timestamp of a notification:
/// `2012-05-16 15:27:36.000123`.
pub(crate) fn notification_time(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let (month, micros) = (u8::from(month), time.microsecond());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time shows the offset of its own zone, and UTC does not depend on the offset of the input.
    #[test]
    fn times_follow_the_zone() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_337_182_056_000_123_456).unwrap();
        let time = time.to_offset(UtcOffset::from_hms(5, 0, 0).unwrap());
        assert_eq!(DisplayZone::UTC.second(time), "2012-05-16T15:27:36Z");
        assert_eq!(notification_time(time), "2012-05-16 15:27:36.000123");
        for (zone, shown) in [
            ("+02:00", "2012-05-16T17:27:36+02:00"),
            ("-0330", "2012-05-16T11:57:36-03:30"),
            ("UTC", "2012-05-16T15:27:36Z"),
        ] {
            assert_eq!(zone.parse::<DisplayZone>().unwrap().second(time), shown);
        }
    }

    /// A wrong zone is refused with the forms that are valid.
    #[test]
    fn rejects_text_that_names_no_zone() {
        for wrong in ["", "+", "+2", "+25:00", "+02:60", "Mars/Olympus", "+é0", "../x"] {
            assert!(wrong.parse::<DisplayZone>().unwrap_err().contains("Europe/Berlin"), "{wrong}");
        }
    }
}
