//! The times of payloads and counters: `2012-05-16T15:27:36Z`, UTC, whole seconds.
//!
//! The `timestamp` of a notification has another form; see [`encode`](super::encode).

use time::OffsetDateTime;

use super::json_writer::{JsonWriter, WriteJson};

/// A time that writes itself as payloads do: `2012-05-16T15:27:36Z`.
#[derive(Clone, Copy)]
pub(crate) struct PayloadTime(pub(crate) OffsetDateTime);

impl WriteJson for PayloadTime {
    fn write(&self, w: &mut JsonWriter) {
        w.bytes.push(b'"');
        w.time(self.0, b'T');
        w.raw("Z\"");
    }
}

/// Writes the same text through serde, for reports in JSON.
impl serde::Serialize for PayloadTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut w = JsonWriter::default();
        w.time(self.0, b'T');
        serializer.collect_str(&format_args!("{}Z", String::from_utf8_lossy(&w.bytes)))
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
