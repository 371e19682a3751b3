//! The RabbitMQ node of the benchmarks.

use notify_testbed::broker::rabbitmq::RabbitMq;

/// Returns a configuration of the strategy `rabbit` for the node on `port`.
pub(crate) fn rabbit_config(port: u16) -> String {
    format!(
        "strategy = \"rabbit\"\npublisher_id = \"image.host1\"\n\
         rabbit.url = \"amqp://guest:guest@127.0.0.1:{port}\""
    )
}

/// Purges every queue, so that the messages of one candidate do not slow down the next one.
pub(crate) fn purge_queues(broker: &RabbitMq) {
    broker.eval("length([rabbit_amqqueue:purge(Q) || Q <- rabbit_amqqueue:list(<<\"/\">>)])");
}
