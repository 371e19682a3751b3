//! Numbers of the pages: digits in groups, and durations.

use glance_notify::time::Duration;

/// Returns a number with its digits in groups of three: `12 345`.
pub(super) fn grouped(number: impl ToString + Copy) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// Returns a duration in its largest units: `8 ms`, `19.2 s`, `3 min 05 s`, `6 h 20 min`, `2 d 04 h`.
pub(super) fn shown_duration(duration: Duration) -> String {
    if duration.is_negative() {
        return format!("−{}", shown_duration(-duration));
    }
    let seconds = duration.whole_seconds();
    match seconds {
        ..1 => format!("{} ms", duration.whole_milliseconds()),
        1..60 => format!("{seconds}.{} s", duration.subsec_milliseconds() / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations have two units at most, and a clock that went back shows.
    #[test]
    fn durations_have_two_units() {
        for (milliseconds, shown) in [
            (0, "0 ms"),
            (8, "8 ms"),
            (19_290, "19.2 s"),
            (185_000, "3 min 05 s"),
            (22_800_000, "6 h 20 min"),
            (187_200_000, "2 d 04 h"),
            (-1500, "−1.5 s"),
        ] {
            assert_eq!(shown_duration(Duration::milliseconds(milliseconds)), shown);
        }
    }

    /// Groups begin at the last digit.
    #[test]
    fn digits_are_grouped_by_three() {
        for (number, shown) in
            [(7, "7"), (123, "123"), (1234, "1\u{202f}234"), (1_234_567, "1\u{202f}234\u{202f}567")]
        {
            assert_eq!(grouped(number), shown);
        }
    }
}
