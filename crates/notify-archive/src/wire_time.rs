//! Times in JSON: RFC 3339 in UTC, as Glance's API writes them.

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::Serializer;
use time::OffsetDateTime;

/// Writes a time as `2026-11-24T12:00:00.123456Z`.
pub(crate) fn serialize<S: Serializer>(
    time: &OffsetDateTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

/// Reads a time of RFC 3339 with an offset.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("expected a time such as 2026-11-24T12:00:00Z"))
}

/// Returns a time as `2026-11-24T12:00:00.123456Z`.
pub(crate) fn rfc3339(time: OffsetDateTime) -> String {
    let timestamp = Timestamp::from_nanosecond(time.unix_timestamp_nanos());
    timestamp.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Returns the time in a text of RFC 3339.
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    let timestamp: Timestamp = text.parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(timestamp.as_nanosecond()).ok()
}
