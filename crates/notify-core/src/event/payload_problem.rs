//! The problems of payloads that do not have the documented shape: serde's errors with JSON pointers.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::problem::{NOTHING, Problem, escape, kind_of};

/// Deserializes a payload. The problem repeats no value.
pub(super) fn read_payload<T: DeserializeOwned>(payload: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(payload).map_err(|error| {
        use serde_path_to_error::Segment;
        let mut pointer = error.path().iter().fold(String::new(), |pointer, part| match part {
            Segment::Map { key } => format!("{pointer}/{}", escape(key)),
            Segment::Seq { index } => format!("{pointer}/{index}"),
            _ => pointer,
        });
        // serde's own messages may repeat the value: `invalid type: string "S3", expected u64`.
        let message = error.inner().to_string();
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
        let kind = payload.pointer(&pointer).map(Value::to_string);
        let kind = kind.as_deref().map_or("another value", kind_of);
        let (expected, found) = match (missing, message.split_once(", expected ")) {
            (Some((key, _)), _) => {
                pointer = format!("{pointer}/{key}");
                ("a value", NOTHING)
            }
            (None, Some((found, expected))) if !found.starts_with("invalid ") => (expected, found),
            (None, Some((_, "u64"))) => ("a whole number from 0 to 18446744073709551615", kind),
            (None, Some((_, expected))) => (expected, kind),
            (None, None) => ("the documented form", kind),
        };
        Problem::new(format!("/payload{pointer}"), expected, found)
    })
}
