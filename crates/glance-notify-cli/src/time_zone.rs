//! Times in texts, and the option `--tz` that chooses their time zone.
//!
//! Texts for people follow `--tz`. JSON always has UTC: a reader of it must not depend on your options.

use glance_notify::time::{OffsetDateTime, UtcOffset};
use notify_archive::question::Calendar;

/// The option `--tz`.
#[derive(Clone, clap::Args)]
pub(crate) struct TimeZoneArg {
    /// Time zone of the times that you write and read: `UTC`, `local`, an offset such as `+02:00`, or a
    /// name such as `Europe/Berlin`. JSON has UTC.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = Calendar::new)]
    pub(crate) tz: Calendar,
}

impl TimeZoneArg {
    /// Returns the calendar of an output: the chosen one for a text, UTC for JSON.
    pub(crate) fn of_output(&self, is_json: bool) -> Calendar {
        if is_json { Calendar::utc() } else { self.tz.clone() }
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

    /// The timestamp of a message looks as in its notification, whatever offset it came with.
    #[test]
    fn timestamps_are_those_of_the_notification() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_337_182_056_000_123_456).unwrap();
        let time = time.to_offset(UtcOffset::from_hms(5, 0, 0).unwrap());
        assert_eq!(notification_time(time), "2012-05-16 15:27:36.000123");
    }
}
