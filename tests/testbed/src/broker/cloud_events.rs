//! The Python SDK of CloudEvents: an independent reader and writer of both modes.
//!
//! It runs on the version that `cargo xtask setup` pins. It knows no network: a test takes a message from
//! the broker, or publishes one, with an independent client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::amqp_client::RabbitMqMessage;
use super::proton::ProtonMessage;
use super::python_process::PythonProcess;

/// The SDK in a process of its own. Dropping it ends the process.
#[derive(Debug)]
pub struct CloudEventsSdk(PythonProcess);

/// A CloudEvent that the SDK has read and validated.
#[derive(Clone, Debug, PartialEq)]
pub struct CloudEventFacts {
    /// All attributes as texts. A time has the form of RFC 3339.
    pub attributes: Map<String, Value>,
    /// The data.
    pub data: Value,
}

/// A message that the SDK wrote, for a client of RabbitMQ.
#[derive(Clone, Debug)]
pub struct CloudEventMessage {
    /// The properties for [`Vhost::publish`](super::rabbitmq::Vhost::publish).
    pub properties: Value,
    /// The body.
    pub body: Vec<u8>,
}

/// The binding by which the SDK writes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudEventsBinding {
    /// The binding for RabbitMQ, with the prefix `ce-`.
    RabbitMq,
    /// The binding for AMQP, with the prefix `cloudEvents_` and a time as a number.
    Amqp,
}

impl CloudEventsSdk {
    /// Starts the SDK.
    ///
    /// # Panics
    ///
    /// Panics if the virtual environment is missing.
    pub fn start() -> Self {
        Self(PythonProcess::start(SOURCE, &json!(null)))
    }

    /// Reads a message that RabbitMQ delivered over AMQP 0-9-1.
    ///
    /// # Errors
    ///
    /// The error of the SDK, if the message is no valid CloudEvent.
    pub fn read_rabbitmq(&mut self, message: &RabbitMqMessage) -> Result<CloudEventFacts, String> {
        let headers = json!(message.headers.clone().unwrap_or_default());
        self.read("rabbitmq", &message.properties["content_type"], &headers, &message.body)
    }

    /// Reads a message that a broker delivered over AMQP 1.0.
    ///
    /// # Errors
    ///
    /// The error of the SDK, if the message is no valid CloudEvent.
    pub fn read_amqp(&mut self, message: &ProtonMessage) -> Result<CloudEventFacts, String> {
        let headers = json!(message.properties);
        self.read("amqp", &json!(message.content_type), &headers, &message.body)
    }

    /// Writes a CloudEvent in binary mode, or in structured mode.
    ///
    /// # Panics
    ///
    /// Panics if the SDK refuses the event.
    pub fn write(
        &mut self,
        event: &CloudEventFacts,
        binding: CloudEventsBinding,
        is_binary: bool,
    ) -> CloudEventMessage {
        let binding = match binding {
            CloudEventsBinding::RabbitMq => "rabbitmq",
            CloudEventsBinding::Amqp => "amqp",
        };
        let message = self.request(&json!({
            "operation": "write", "binding": binding, "attributes": event.attributes,
            "data": event.data, "mode": if is_binary { "binary" } else { "structured" },
        }));
        let message = message.unwrap_or_else(|reason| panic!("{reason}"));
        let body = message["body"].as_str().unwrap_or_default();
        CloudEventMessage {
            properties: json!({
                "content_type": message["content_type"], "headers": message["headers"],
            }),
            body: STANDARD.decode(body).expect("the SDK's program encodes the body"),
        }
    }

    fn read(
        &mut self,
        binding: &str,
        content_type: &Value,
        headers: &Value,
        body: &[u8],
    ) -> Result<CloudEventFacts, String> {
        let mut event = self.request(&json!({
            "operation": "read", "binding": binding, "content_type": content_type,
            "headers": headers, "body": STANDARD.encode(body),
        }))?;
        let Value::Object(attributes) = event["attributes"].take() else {
            return Err(format!("the SDK's program answers {event}"));
        };
        Ok(CloudEventFacts { attributes, data: event["data"].take() })
    }

    fn request(&mut self, request: &Value) -> Result<Value, String> {
        self.0.send(request);
        let mut answer = self.0.receive();
        match answer.get_mut("done") {
            Some(done) => Ok(done.take()),
            None => Err(answer["failed"].to_string()),
        }
    }
}

const SOURCE: &str = include_str!("python/cloud_events_sdk.py");
