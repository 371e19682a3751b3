//! Notifications on the wire: [`NotificationWire`], the only list of the six attributes.
//!
//! It serves the encoder, the bodies of messages and serde.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::wire_text::serialize_id;
use crate::event::event_type::EventType;
use crate::event::priority::Priority;

/// The six attributes of a notification, in the order of the specification.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotificationWire<'a, P> {
    #[serde(serialize_with = "serialize_id")]
    pub(super) message_id: Uuid,
    #[serde(borrow)]
    pub(super) publisher_id: Cow<'a, str>,
    pub(super) event_type: Cow<'a, EventType>,
    pub(super) priority: Priority,
    #[serde(with = "wire_timestamp")]
    pub(super) timestamp: OffsetDateTime,
    pub(super) payload: P,
}

/// The form of `timestamp`: `2026-11-22 12:00:00.123456`, UTC, six digits, no zone.
///
/// oslo.messaging sends this form (`str(datetime.utcnow())`), and every consumer parses it. Ceilometer
/// loops on a timestamp that it cannot parse.
mod wire_timestamp {
    use serde::ser::Error as _;
    use serde::{Deserializer, Serialize, Serializer};
    use time::OffsetDateTime;

    use crate::codec::timestamp::{NO_TIME, NO_YEAR, date_and_time, fill_digits, parse_time};
    use crate::codec::wire_text::{PlainText, from_text};

    pub(super) fn serialize<S: Serializer>(
        time: &OffsetDateTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = *b"0000-00-00 00:00:00.000000";
        let seconds = date_and_time(*time, b' ').ok_or_else(|| S::Error::custom(NO_YEAR))?;
        text[..19].copy_from_slice(&seconds);
        fill_digits(&mut text[20..], time.microsecond());
        PlainText(std::str::from_utf8(&text).unwrap_or_default()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        from_text(deserializer, |text| parse_time(text).ok_or(NO_TIME))
    }
}
