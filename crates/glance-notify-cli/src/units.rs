//! Numbers for people, as short as a column needs them: bytes and durations.

use glance_notify::time::Duration;

/// Returns a number of bytes in binary units: `512 B`, `427.0 MiB`.
pub fn short_bytes(bytes: u128) -> String {
    let mut unit = None;
    let mut divisor = 1;
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if bytes < divisor * 1024 {
            break;
        }
        divisor *= 1024;
        unit = Some(name);
    }
    let tenths = bytes * 10 / divisor;
    match unit {
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        None => format!("{bytes} B"),
    }
}

/// Returns a duration in its largest units: `+19.2s`, `+3m05s`, `+6h20m`, `+2d04h`.
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.whole_seconds();
    match seconds {
        ..0 => format!("{seconds}s"),
        0 if duration.is_negative() => {
            format!("-0.{}s", duration.subsec_milliseconds().abs() / 100)
        }
        0..60 => format!("+{seconds}.{}s", duration.subsec_milliseconds() / 100),
        60..3600 => format!("+{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("+{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("+{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit begins where the number would have four digits.
    #[test]
    fn bytes_have_binary_units() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (447_741_952, "427.0 MiB"),
            (u128::from(u64::MAX), "16383.9 PiB"),
        ] {
            assert_eq!(short_bytes(bytes), shown);
        }
    }

    /// Durations have two units at most, and a clock that went back shows.
    #[test]
    fn durations_have_two_units() {
        for (milliseconds, shown) in [
            (0, "+0.0s"),
            (19_290, "+19.2s"),
            (185_000, "+3m05s"),
            (22_800_000, "+6h20m"),
            (187_200_000, "+2d04h"),
            (-500, "-0.5s"),
            (-1500, "-1s"),
        ] {
            assert_eq!(short_duration(Duration::milliseconds(milliseconds)), shown);
        }
    }
}
