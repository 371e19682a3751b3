//! An AMQP 0-9-1 client that is not ours, to look at what ours did: py-amqp, in one process for all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::python::Python;

/// A message as a broker delivered it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Received {
    /// The exchange that it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Whether the broker had delivered it before.
    pub redelivered: bool,
    /// The properties that are set, by their AMQP names; without `headers`.
    pub properties: Map<String, Value>,
    /// The property `headers`; `None` when it is absent, which is not the same as empty.
    pub headers: Option<Map<String, Value>>,
    /// The body, byte by byte. Empty when it was not asked for.
    #[serde(deserialize_with = "base64")]
    pub body: Vec<u8>,
}

impl Received {
    /// The property `message_id`, or empty.
    pub fn message_id(&self) -> &str {
        self.properties.get("message_id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}"))
    }
}

/// Asks the client to do something and waits until it is done.
///
/// # Errors
///
/// What the broker or the library said.
pub(crate) fn request(request: &Value) -> Result<Value, String> {
    request_each(request, |_| unreachable!("only draining brings messages"))
}

/// As [`request`], for one that brings messages.
pub(crate) fn request_each(
    request: &Value,
    mut each: impl FnMut(Received),
) -> Result<Value, String> {
    let mut client = client();
    let python = client.get_or_insert_with(|| Python::start(SOURCE, &json!(null)));
    python.ask(request);
    loop {
        match serde_json::from_value(python.answer()).expect("the client answers in its form") {
            Answer::Message(message) => each(*message),
            Answer::Done(value) => return Ok(value),
            Answer::Failed(reason) => return Err(reason),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Message(Box<Received>),
    Done(Value),
    Failed(String),
}

/// The one client of this process. Whoever failed in the middle of a request leaves none behind.
fn client() -> MutexGuard<'static, Option<Python>> {
    CLIENT.lock().unwrap_or_else(|poisoned: PoisonError<MutexGuard<'_, Option<Python>>>| {
        CLIENT.clear_poison();
        let mut client = poisoned.into_inner();
        *client = None;
        client
    })
}

fn base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)
}

static CLIENT: Mutex<Option<Python>> = Mutex::new(None);

const SOURCE: &str = include_str!("python/amqp_client.py");
