//! An independent AMQP 0-9-1 client: py-amqp, in one Python process per test process.
//!
//! Tests inspect the broker with it, so a mistake of the project's own client cannot hide itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::python_process::PythonProcess;

/// A message as RabbitMQ delivered it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RabbitMqMessage {
    /// The exchange to which the sender published the message.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether the broker delivered the message before.
    pub redelivered: bool,
    /// The properties that the sender set, by their AMQP names, without `headers`.
    pub properties: Map<String, Value>,
    /// The property `headers`. `None` means that the property is absent, and not that it is empty.
    pub headers: Option<Map<String, Value>>,
    /// The body, byte by byte. Empty if the test asked for messages without bodies.
    #[serde(deserialize_with = "base64")]
    pub body: Vec<u8>,
}

impl RabbitMqMessage {
    /// Returns the property `message_id`, or an empty text.
    pub fn message_id(&self) -> &str {
        self.properties.get("message_id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}"))
    }
}

/// Sends a request to the client and waits for its result.
///
/// # Errors
///
/// The error of the broker or of py-amqp.
pub(crate) fn request(request: &Value) -> Result<Value, String> {
    request_each(request, |_| unreachable!("only `drain` answers with messages"))
}

/// Sends a request to the client, calls `each` with every message of its answer, and returns the
/// result.
///
/// # Errors
///
/// The error of the broker or of py-amqp.
pub(crate) fn request_each(
    request: &Value,
    mut each: impl FnMut(RabbitMqMessage),
) -> Result<Value, String> {
    let mut client = client();
    let python = client.get_or_insert_with(|| PythonProcess::start(SOURCE, &json!(null)));
    python.send(request);
    loop {
        match serde_json::from_value(python.receive()).expect("the client sends valid answers") {
            ClientAnswer::Message(message) => each(*message),
            ClientAnswer::Done(value) => return Ok(value),
            ClientAnswer::Failed(reason) => return Err(reason),
        }
    }
}

/// One line of the client's output.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClientAnswer {
    Message(Box<RabbitMqMessage>),
    Done(Value),
    Failed(String),
}

/// Locks the client of this test process. If a test panicked in the middle of a request, the next
/// one gets a new client.
fn client() -> MutexGuard<'static, Option<PythonProcess>> {
    CLIENT.lock().unwrap_or_else(|poisoned: PoisonError<MutexGuard<'_, Option<PythonProcess>>>| {
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

static CLIENT: Mutex<Option<PythonProcess>> = Mutex::new(None);

const SOURCE: &str = include_str!("python/amqp_client.py");
