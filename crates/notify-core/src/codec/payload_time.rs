//! The times of payloads and counters: `2012-05-16T15:27:36Z`, UTC, whole seconds.
//!
//! The `timestamp` of a notification has another form; see
//! [`NotificationWire`](super::notification_wire::NotificationWire).

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use super::timestamp::{NO_TIME, NO_YEAR, date_and_time, parse_time};
use super::wire_text::{PlainText, from_text};

/// A time that writes itself as payloads do: `2012-05-16T15:27:36Z`.
#[derive(Clone, Copy)]
pub(crate) struct PayloadTime(pub(crate) OffsetDateTime);

impl Serialize for PayloadTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *b"0000-00-00T00:00:00Z";
        text[..19].copy_from_slice(
            &date_and_time(self.0, b'T').ok_or_else(|| S::Error::custom(NO_YEAR))?,
        );
        PlainText(std::str::from_utf8(&text).unwrap_or_default()).serialize(serializer)
    }
}

/// Writes a time as [`PayloadTime`] does, for `serialize_with`.
pub(crate) fn serialize_time<S: Serializer>(
    time: &OffsetDateTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    PayloadTime(*time).serialize(serializer)
}

impl<'de> Deserialize<'de> for PayloadTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| parse_time(text).map(Self).ok_or(NO_TIME))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PayloadTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PayloadTime".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
        })
    }
}
