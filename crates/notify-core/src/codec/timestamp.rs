//! Times as texts: reading accepts every form that consumers of OpenStack's notifications accept, and no
//! other.

use std::ops::RangeInclusive;

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Parses a time and converts it to UTC.
///
/// The form is `YYYY-MM-DD`, `T` or a space, `HH:MM:SS`, a fraction of at most nine digits, and `Z` or an
/// offset such as `+02:00`. A time without an offset is UTC. Returns `None` for another form, a date that
/// does not exist, and a time before the year 1.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let bytes = text.as_bytes();
    let (head, mut rest) = bytes.split_at_checked(19)?;
    let pattern = b"0000-00-00T00:00:00";
    let fits = head.iter().zip(pattern).all(|(byte, expected)| match expected {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b' '),
        separator => byte == separator,
    });
    if !fits {
        return None;
    }
    let mut nanosecond = 0;
    if let [b'.', fraction @ ..] = rest {
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&length) {
            return None;
        }
        nanosecond = number(&fraction[..length])? * 10_u32.pow(9 - u32::try_from(length).ok()?);
        rest = &fraction[length..];
    }
    let offset = match rest {
        [] | [b'Z'] => UtcOffset::UTC,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = i8::try_from(number(&[*h1, *h2])?).ok()?;
            let minutes = i8::try_from(number(&[*m1, *m2])?).ok()?;
            let sign = if *sign == b'-' { -1 } else { 1 };
            UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?
        }
        _ => return None,
    };
    let month = Month::try_from(u8::try_from(number(&head[5..7])?).ok()?).ok()?;
    let date = Date::from_calendar_date(
        i32::try_from(number(&head[0..4])?).ok()?,
        month,
        u8::try_from(number(&head[8..10])?).ok()?,
    );
    let time = Time::from_hms_nano(
        u8::try_from(number(&head[11..13])?).ok()?,
        u8::try_from(number(&head[14..16])?).ok()?,
        u8::try_from(number(&head[17..19])?).ok()?,
        nanosecond,
    );
    PrimitiveDateTime::new(date.ok()?, time.ok()?)
        .assume_offset(offset)
        .checked_to_offset(UtcOffset::UTC)
        .filter(|time| YEARS.contains(&time.year()))
}

/// Returns date and time in UTC and whole seconds: `2026-11-22 12:00:00` with the separator of the caller.
///
/// Returns `None` for a time before the year 1 or after the year 9999.
pub(crate) fn date_and_time(time: OffsetDateTime, separator: u8) -> Option<[u8; 19]> {
    let time = time.checked_to_offset(UtcOffset::UTC)?;
    let (year, month, day) = time.to_calendar_date();
    if !YEARS.contains(&year) {
        return None;
    }
    let (hour, minute, second) = time.to_hms();
    let year = u8::try_from(year / 100).ok().zip(u8::try_from(year % 100).ok());
    let ([y1, y2], [y3, y4]) = year.map(|(century, year)| (digits(century), digits(year)))?;
    let [[m1, m2], [d1, d2]] = [u8::from(month), day].map(digits);
    let [[h1, h2], [i1, i2], [s1, s2]] = [hour, minute, second].map(digits);
    Some([
        y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, separator, h1, h2, b':', i1, i2, b':', s1, s2,
    ])
}

/// Returns the two decimal digits of a number below 100.
fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// Fills `text` with the decimal digits of `number`, padded with zeros.
pub(crate) fn fill_digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Parses decimal digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// The years that Python has. The crate `time` has more, and even more with a feature.
const YEARS: RangeInclusive<i32> = 1..=9999;

/// The error of a text that is no time.
pub(crate) const NO_TIME: &str =
    "a string that is not a time, expected a time such as 2012-05-16T15:27:36Z";

/// The error of a time that has no text.
pub(crate) const NO_YEAR: &str =
    "a time lies outside the years 1 to 9999, and consumers in Python cannot read it";

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    /// Times of oslo.messaging, of Glance's payloads, and with an offset.
    #[test]
    fn parses_every_form_that_consumers_parse() {
        let expected = parse_time("2026-11-22T12:00:00Z").unwrap();
        for text in [
            "2026-11-22 12:00:00",
            "2026-11-22 12:00:00.000000",
            "2026-11-22T12:00:00.000000000Z",
            "2026-11-22T14:00:00+02:00",
            "2026-11-22T10:30:00.0-01:30",
        ] {
            assert_eq!(parse_time(text), Some(expected), "{text}");
        }
        assert_eq!(&date_and_time(expected, b'T').unwrap(), b"2026-11-22T12:00:00");
    }

    /// A form that only some consumers parse would stop the others, so reading rejects it.
    #[test]
    fn rejects_other_forms() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 12:00:00 UTC",
            "2026-13-22T12:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00.1234567890Z",
            "2026-11-22T12:00:00+2:00",
            "2026-11-22T12:00:00+99:00",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+01:00",
            "２026-11-22T12:00:00Z",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    /// Python has no year 0, so consumers would refuse the notification.
    #[test]
    fn writes_no_year_that_consumers_cannot_read() {
        let first = parse_time("0001-01-01T00:00:00Z").unwrap();
        assert_eq!(&date_and_time(first, b' ').unwrap(), b"0001-01-01 00:00:00");
        for duration in [Duration::SECOND, Duration::days(366), Duration::days(800)] {
            assert_eq!(date_and_time(first - duration, b' '), None, "{duration} before");
        }
    }
}
