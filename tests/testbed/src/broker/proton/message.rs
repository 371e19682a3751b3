//! A message as Proton received it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A message as Proton received it, with every section.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct ProtonMessage {
    /// Header: whether the message survives a restart of the broker.
    pub durable: bool,
    /// Header: the priority; 4 if the sender set none.
    pub priority: u8,
    /// Properties: `message-id`, as text.
    pub id: String,
    /// The Python type of `message-id`: `str`, `uuid`, `int` or `bytes`.
    pub id_type: String,
    /// Properties: `subject`.
    pub subject: Option<String>,
    /// Properties: `content-type`.
    pub content_type: Option<String>,
    /// Properties: `content-encoding`.
    pub content_encoding: Option<String>,
    /// Properties: `creation-time`, in milliseconds since 1970; 0 if the sender set none.
    pub creation_time: u64,
    /// The application properties.
    pub properties: Map<String, Value>,
    /// The kind of the body's section: `data` or `value`.
    pub section: String,
    /// The body, byte by byte. Empty if the test asked for messages without bodies.
    #[serde(deserialize_with = "base64")]
    pub body: Vec<u8>,
}

impl fmt::Debug for ProtonMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtonMessage")
            .field("id", &self.id)
            .field("subject", &self.subject)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)
}
