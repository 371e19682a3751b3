//! Times and counts as the `spool` commands print them.

use glance_notify::time::OffsetDateTime;

/// Returns a time to the second in UTC, as in `2012-05-16T15:27:36Z`.
pub(super) fn second_time(time: OffsetDateTime) -> String {
    let (date, clock) = utc_parts(time);
    format!("{date}T{clock}Z")
}

/// Returns a time to the microsecond in UTC, like the timestamp of a notification:
/// `2012-05-16 15:27:36.000123`.
pub(super) fn microsecond_time(time: OffsetDateTime) -> String {
    let (date, clock) = utc_parts(time);
    format!("{date} {clock}.{:06}", time.microsecond())
}

/// Returns the date and the time of day in UTC: `2012-05-16` and `15:27:36`.
fn utc_parts(time: OffsetDateTime) -> (String, String) {
    let time = time.to_offset(glance_notify::time::UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let date = format!("{year:04}-{:02}-{day:02}", u8::from(month));
    (date, format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Returns a count with its noun: "1 message", "2 messages".
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output does not depend on the offset of the time.
    #[test]
    fn times_are_in_utc() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_337_182_056_000_123_456).unwrap();
        let time = time.to_offset(glance_notify::time::UtcOffset::from_hms(5, 0, 0).unwrap());
        assert_eq!(second_time(time), "2012-05-16T15:27:36Z");
        assert_eq!(microsecond_time(time), "2012-05-16 15:27:36.000123");
    }
}
