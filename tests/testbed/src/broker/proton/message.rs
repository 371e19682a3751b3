//! A message as Proton received it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A message as Proton received it, in full.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct Received {
    /// Header: whether it shall survive a restart of the peer.
    pub durable: bool,
    /// Header: 4 where nothing is said.
    pub priority: u8,
    /// Properties: `message-id`, as text.
    pub id: String,
    /// Of which type `message-id` is: `str`, `uuid`, `int`, `bytes`.
    pub id_type: String,
    /// Properties: `subject`.
    pub subject: Option<String>,
    /// Properties: `content-type`.
    pub content_type: Option<String>,
    /// Properties: `content-encoding`.
    pub content_encoding: Option<String>,
    /// Properties: `creation-time`, in milliseconds since 1970; 0 where there is none.
    pub creation_time: u64,
    /// Application properties.
    pub properties: Map<String, Value>,
    /// Of which section the body is: `data` or `value`.
    pub section: String,
    /// The body, byte by byte. Empty when it was not asked for.
    #[serde(deserialize_with = "base64")]
    pub body: Vec<u8>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
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
