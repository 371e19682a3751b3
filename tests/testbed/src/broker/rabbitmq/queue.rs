//! A queue as the node reports it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A queue as the node reports it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct QueueInfo {
    /// The name.
    pub name: String,
    /// The queue type: `classic` or `quorum`.
    pub r#type: String,
    /// Whether the queue survives a restart of the node.
    pub durable: bool,
    /// Whether the node deletes the queue with its last consumer.
    pub auto_delete: bool,
    /// The arguments of the declaration.
    pub arguments: Map<String, Value>,
    /// The number of messages that are ready or unacknowledged. A quorum queue updates it some
    /// seconds late.
    pub messages: u64,
    /// The number of consumers.
    pub consumers: u64,
}

/// An Erlang expression for the queues of the virtual host `$VHOST`, as JSON.
pub(super) const QUEUES_EXPRESSION: &str = r"
    rabbit_json:encode([
        begin
            #{name := {resource, _, queue, Name}, arguments := Arguments} = Queue = maps:from_list(Info),
            Queue#{
                name := Name,
                arguments := maps:from_list([{Key, Value} || {Key, _, Value} <- Arguments])
            }
        end
        || Info <- rabbit_amqqueue:info_all($VHOST, [
            name, type, durable, auto_delete, arguments, messages, consumers
        ])
    ])
";
