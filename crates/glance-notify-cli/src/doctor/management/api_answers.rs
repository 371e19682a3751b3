//! The answers of the management API, as far as `doctor` uses them.
//!
//! The versions of RabbitMQ differ: a value may be missing, `null`, or an empty list in place of an object.
//! Each such value becomes the default. Statistics are missing in the first seconds of an object, and on
//! brokers without statistics.

use glance_notify::codec::serde_json::{self, Map, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// `/api/overview`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OverviewAnswer {
    pub(super) rabbitmq_version: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) cluster_name: String,
}

/// `/api/exchanges/VHOST/NAME`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExchangeAnswer {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) durable: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) message_stats: MessageRates,
}

/// The rates of messages per second, of an exchange or a queue.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MessageRates {
    #[serde(deserialize_with = "lenient")]
    pub(super) publish_in_details: Option<RateAnswer>,
    #[serde(deserialize_with = "lenient")]
    pub(super) deliver_get_details: Option<RateAnswer>,
}

/// A rate.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RateAnswer {
    /// Per second.
    pub(super) rate: f64,
}

/// One element of `/api/exchanges/VHOST/NAME/bindings/source` and of `/api/queues/VHOST/NAME/bindings`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BindingAnswer {
    /// The exchange; empty for the default one.
    pub(super) source: String,
    pub(super) destination: String,
    /// `queue` or `exchange`.
    pub(super) destination_type: String,
    pub(super) routing_key: String,
}

/// `/api/queues/VHOST/NAME`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct QueueAnswer {
    pub(crate) name: String,
    /// `classic`, `quorum` or `stream`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) durable: bool,
    pub(super) exclusive: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) state: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) node: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) arguments: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) policy: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) operator_policy: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) effective_policy_definition: Map<String, Value>,
    #[serde(deserialize_with = "lenient")]
    pub(super) messages_ready: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) messages_unacknowledged: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) message_bytes_ready: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) messages_ready_details: RateAnswer,
    #[serde(deserialize_with = "lenient")]
    pub(super) message_stats: MessageRates,
    #[serde(deserialize_with = "lenient")]
    pub(super) consumer_details: Vec<ConsumerAnswer>,
    /// Whether no exchange but the default one leads to the queue: another request tells.
    #[serde(skip)]
    pub(super) is_unbound: bool,
}

/// A consumer of a queue.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConsumerAnswer {
    #[serde(deserialize_with = "lenient")]
    pub(super) channel_details: ChannelAnswer,
}

/// The channel of a consumer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChannelAnswer {
    /// The addresses of both ends, which identify the connection.
    pub(super) connection_name: String,
    pub(super) peer_host: String,
    pub(super) user: String,
}

/// One element of `/api/nodes`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAnswer {
    pub(super) name: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) running: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) mem_alarm: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) mem_used: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) mem_limit: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) disk_free_alarm: bool,
    #[serde(deserialize_with = "lenient")]
    pub(super) disk_free: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) disk_free_limit: u64,
    #[serde(deserialize_with = "lenient")]
    pub(super) partitions: Vec<String>,
}

/// One page of `/api/connections`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConnectionPage {
    pub(super) page_count: u64,
    pub(super) items: Vec<ConnectionAnswer>,
}

/// A connection of a client.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConnectionAnswer {
    /// The addresses of both ends.
    pub(super) name: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) vhost: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) user: String,
    /// `running`, `flow`, `blocking`, `blocked` and others.
    #[serde(deserialize_with = "lenient")]
    pub(super) state: String,
    /// The name that the client gave.
    #[serde(deserialize_with = "lenient")]
    pub(super) user_provided_name: String,
}

/// Reads a value, or returns the default for one of another type.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use glance_notify::codec::serde_json::json;

    use super::*;

    /// A queue without statistics, and the odd forms of several versions, are read.
    #[test]
    fn values_of_another_type_become_the_default() {
        let answer = json!({
            "name": "q",
            "type": "quorum",
            "policy": null,
            "operator_policy": "",
            "effective_policy_definition": [],
            "messages_ready": "undefined",
            "message_stats": [],
            "consumer_details": [{ "channel_details": [] }, {}],
            "unknown": { "deep": [] },
        });
        let queue: QueueAnswer = serde_json::from_value(answer).unwrap();
        assert_eq!((queue.name.as_str(), queue.kind.as_str()), ("q", "quorum"));
        assert_eq!((queue.messages_ready, queue.consumer_details.len()), (0, 2));
        assert!(queue.effective_policy_definition.is_empty() && queue.policy.is_empty());
        assert!(queue.message_stats.deliver_get_details.is_none());
    }
}
