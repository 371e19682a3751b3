//! Helpers for the tests of sources: steps that fail instead of waiting for good.

use std::time::Duration;

use notify_core::Error;
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Reception, Source,
};
use notify_rabbit::{RabbitSource, RabbitSourceConfig};
use notify_testbed::broker::rabbitmq::Vhost;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{LONG, source_config};

/// A credit with room for everything that a test publishes.
pub(crate) const CREDIT: Credit = Credit { window: 100, room: 100, max_bytes: 1024 * 1024 };

/// Creates a source of a virtual host with options of the table `[source]`.
pub(crate) fn source(vhost: &Vhost<'_>, options: serde_json::Value) -> SourceReader {
    source_of(source_config(&vhost.url(), options))
}

/// Creates a source.
pub(crate) fn source_of(config: RabbitSourceConfig) -> SourceReader {
    let source = RabbitSource::new(config).unwrap_or_else(|error| panic!("{error:#}"));
    SourceReader::new(source)
}

/// Declares the exchange and the queues of OpenStack's services, as oslo.messaging does.
pub(crate) fn declare_services(vhost: &Vhost<'_>, priorities: &[&str]) {
    vhost.declare_exchange("glance", "topic", &json!({}));
    for priority in priorities {
        let queue = format!("notifications.{priority}");
        vhost.declare_queue(&queue, &json!({}));
        vhost.bind(&queue, "glance", &queue);
    }
}

/// Publishes a text with a priority.
pub(crate) fn publish(vhost: &Vhost<'_>, priority: &str, text: &str) {
    vhost.publish("glance", &format!("notifications.{priority}"), &json!({}), text.as_bytes());
}

/// A source, and the messages that came while the test waited for something else.
pub(crate) struct SourceReader {
    pub(crate) source: RabbitSource,
    received: Vec<IncomingDelivery>,
}

impl SourceReader {
    /// Creates a reader of a source.
    pub(crate) fn new(source: RabbitSource) -> Self {
        Self { source, received: Vec::new() }
    }

    /// Waits for news other than messages.
    pub(crate) async fn next(&mut self) -> Result<Reception, Error> {
        loop {
            match self.receive_once().await {
                Ok(Reception::Deliveries(deliveries)) => self.received.extend(deliveries),
                Err(error) => {
                    self.received.clear();
                    return Err(error);
                }
                other => return other,
            }
        }
    }

    /// Waits until the source is attached. Returns the reasons why it was not.
    pub(crate) async fn attach(&mut self) -> Vec<String> {
        let mut reasons = Vec::new();
        loop {
            match self.next().await {
                Ok(Reception::Attached) => return reasons,
                Ok(Reception::Detached { reason, .. }) => reasons.push(reason),
                Ok(other) => panic!("unexpected {other:?}"),
                // The listener waits between two sessions.
                Err(error) => {
                    reasons.push(format!("{error:#}"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Waits until the source is detached, and returns the reason.
    pub(crate) async fn detach(&mut self) -> String {
        match self.next().await {
            Ok(Reception::Detached { reason, .. }) => reason,
            other => panic!("expected a reason, found {other:?}"),
        }
    }

    /// Waits until the session ends, and returns its error.
    pub(crate) async fn session_end(&mut self) -> Error {
        self.next().await.expect_err("the session ends")
    }

    /// Receives this many messages.
    pub(crate) async fn receive(&mut self, count: usize) -> Vec<IncomingDelivery> {
        while self.received.len() < count {
            match self.receive_once().await {
                Ok(Reception::Deliveries(deliveries)) => self.received.extend(deliveries),
                other => {
                    panic!("expected messages, found {other:?} after {}", self.received.len())
                }
            }
        }
        assert_eq!(self.received.len(), count, "{:?}", self.received);
        std::mem::take(&mut self.received)
    }

    /// Receives this many messages, and returns their texts.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        texts(&self.receive(count).await)
    }

    /// Acknowledges everything up to the last of these messages.
    pub(crate) async fn ack(&mut self, deliveries: &[IncomingDelivery]) {
        let through = deliveries.last().map(|delivery| delivery.tag);
        let settlements = DeliverySettlements { through, ..DeliverySettlements::default() };
        let settled = timeout(LONG, self.source.settle(&settlements)).await;
        settled.expect("does not settle").expect("settles");
    }

    /// Closes the source.
    pub(crate) async fn close(mut self) {
        self.source.close().await.expect("closes");
    }

    async fn receive_once(&mut self) -> Result<Reception, Error> {
        timeout(LONG, self.source.receive(CREDIT)).await.expect("nothing comes")
    }
}

/// Returns the texts of messages.
pub(crate) fn texts(deliveries: &[IncomingDelivery]) -> Vec<String> {
    let text = |delivery: &IncomingDelivery| match &delivery.body {
        IncomingBody::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    };
    deliveries.iter().map(text).collect()
}
