//! A duration as a number of seconds: `10`, `0.5`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A duration that users configure as a number of seconds, whole or not.
///
/// Deserializing accepts numbers above 0 and up to 366 days. A longer duration is nearly always
/// milliseconds by mistake, and a zero timeout can never be met.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_core::codec::serde_json;
/// use notify_core::config::Seconds;
///
/// let timeout: Seconds = serde_json::from_str("0.5").unwrap();
/// assert_eq!(Duration::from(timeout), Duration::from_millis(500));
/// assert!(serde_json::from_str::<Seconds>("0").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(Duration);

impl Seconds {
    /// The longest duration that deserializing accepts: a leap year.
    pub const MAX: Self = Self::new(MAX_SECONDS);

    /// Creates a duration of whole seconds, for the default of an option. Checks no bounds.
    pub const fn new(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

/// Converts without checking bounds.
impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

/// Writes a whole number where the duration has no fraction.
impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(SecondsVisitor)
    }
}

/// Accepts numbers of seconds within bounds.
struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of seconds above 0 and at most {MAX_SECONDS}")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        match seconds {
            1..=MAX_SECONDS => Ok(Seconds(Duration::from_secs(seconds))),
            _ => Err(E::invalid_value(Unexpected::Unsigned(seconds), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(seconds), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() && duration <= Duration::from_secs(MAX_SECONDS) => {
                Ok(Seconds(duration))
            }
            _ => Err(E::invalid_value(Unexpected::Float(seconds), &self)),
        }
    }
}

/// See [`Seconds::MAX`].
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration that is written out reads back as the same configuration.
    #[test]
    fn seconds_survive_a_round_trip() {
        for (text, millis) in [("1", 1_000), ("0.5", 500), ("31622400", 31_622_400_000)] {
            let seconds: Seconds = serde_json::from_str(text).unwrap();
            assert_eq!(Duration::from(seconds), Duration::from_millis(millis));
            assert_eq!(serde_json::to_string(&seconds).unwrap(), text);
        }
    }

    /// Also numbers too large for a `Duration`, and texts with a unit.
    #[test]
    fn rejects_zero_negative_and_oversized_durations() {
        for text in ["0", "-1", "0.0", "-0.5", "1e300", "31622401", "\"10s\"", "true"] {
            assert!(serde_json::from_str::<Seconds>(text).is_err(), "{text}");
        }
    }
}
