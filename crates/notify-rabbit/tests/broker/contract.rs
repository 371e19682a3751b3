//! The conformance suite of the `Transport` contract, against RabbitMQ nodes.
//!
//! RabbitMQ supports every capability of the harness: a test can kill, freeze and restart a node, make
//! its queues reject messages by a policy, and count connections.

use async_trait::async_trait;
use notify_conformance::{
    Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage, samples,
};
use notify_core::event::NotificationPayload;
use notify_core::{Event, Notification, Priority, Transport};
use notify_rabbit::{Config, Rabbit};
use notify_testbed::broker::rabbitmq::{NodePool, PooledNode, RabbitMq, Vhost};
use serde_json::json;

use crate::support::config;

notify_conformance::suite!(RabbitHarness);

/// A new virtual host on a node that no other test uses at the same time.
struct RabbitHarness {
    vhost: Vhost<'static>,
    config: Config,
    _node: PooledNode,
    received: Vec<ReceivedMessage>,
}

/// The nodes of these tests.
static NODES: NodePool = NodePool::new(RabbitMq::start);

/// The queues with the priority of their messages.
const QUEUES: [(&str, Priority); 7] = [
    ("notifications.info", Priority::Info),
    ("notifications.warn", Priority::Warn),
    ("notifications.error", Priority::Error),
    ("notifications.audit", Priority::Audit),
    ("notifications.critical", Priority::Critical),
    ("notifications.debug", Priority::Debug),
    ("notifications.sample", Priority::Sample),
];

#[async_trait]
impl Harness for RabbitHarness {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[];

    /// Takes an idle node or starts one, and creates a virtual host on it.
    async fn start() -> Self {
        tokio::task::spawn_blocking(move || {
            let node = NODES.take();
            let vhost = node.vhost();
            // Long enough for every answer of a broker that answers.
            let config = config(&vhost.url(), json!({ "confirm_timeout": 5 }));
            Self { vhost, config, _node: node, received: Vec::new() }
        })
        .await
        .unwrap()
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Rabbit::new(self.config.clone()).unwrap())
    }

    /// Empties the queues. Returns their messages after those of earlier calls.
    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let new = self
            .vhost
            .in_background(|vhost| {
                let mut received = Vec::new();
                for (queue, priority) in QUEUES {
                    if vhost.queue(queue).is_some() {
                        let messages = vhost.drain(queue);
                        received.extend(messages.into_iter().map(|message| (message, priority)));
                    }
                }
                received
            })
            .await;
        self.received.extend(new.into_iter().map(|(message, priority)| ReceivedMessage {
            metadata: Some(MessageMetadata {
                message_id: message.message_id().to_owned(),
                event_type: message.properties["type"].as_str().unwrap().to_owned(),
                priority,
                headers: message.headers.into_iter().flatten().map(as_json).collect(),
            }),
            body: message.body,
        }));
        self.received.clone()
    }

    /// Counts the connections to the virtual host.
    async fn open_handles(&mut self) -> usize {
        self.vhost.in_background(Vhost::connections).await
    }

    /// Kills the node with SIGKILL.
    async fn kill(&mut self) {
        self.vhost.in_background(|vhost| vhost.broker().kill()).await;
    }

    async fn restart(&mut self) {
        self.vhost.in_background(|vhost| vhost.broker().restart()).await;
    }

    /// Stops the node's processes with SIGSTOP: its kernel still accepts connections.
    async fn stall(&mut self) {
        self.vhost.broker().freeze();
    }

    async fn resume(&mut self) {
        self.vhost.broker().unfreeze();
    }

    /// A payload with the key `__type__`: oslo.messaging's consumers would drop it.
    async fn refused_notification(&mut self) -> Notification {
        let mut notification = samples::notification(0);
        if let NotificationPayload::Constructed(Event::ImageCreate(
            notify_core::event::Payload::Info(image),
        )) = &mut notification.payload
        {
            image.properties.insert("__type__".into(), "x".into());
        }
        notification
    }

    async fn start_declining(&mut self) {
        self.vhost.in_background(|vhost| vhost.fill(".*")).await;
    }

    async fn stop_declining(&mut self) {
        self.vhost.in_background(Vhost::make_room).await;
    }

    /// Fills the queue of one priority, or suspends it, so that the node confirms none of its messages.
    async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {
        let queue = format!("notifications.{}", priority.lower());
        let set_fault = move |vhost: &Vhost<'static>| match fault {
            Some(LaneFault::Full) => vhost.fill(&queue),
            Some(LaneFault::Silent) => vhost.suspend_queue(&queue),
            None => vhost.repair_queue(&queue),
        };
        self.vhost.in_background(set_fault).await;
    }
}

/// Returns a header with its value as JSON.
fn as_json((name, value): (String, serde_json::Value)) -> (String, String) {
    (name, value.to_string())
}
