//! The transport contract on a RabbitMQ 3.10 node with its plugin for AMQP 1.0: the conformance
//! suite.

use async_trait::async_trait;
use notify_conformance::{Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage};
use notify_core::{Priority, Transport};
use notify_qpid::{Config, Qpid};
use notify_testbed::broker::proton;
use notify_testbed::broker::rabbitmq::{NodePool, PooledNode, RabbitMq, Vhost};
use notify_testbed::wait::wait_until;
use serde_json::json;

use crate::support::{OTHER_QUEUES, QUEUES, as_json, config};

notify_conformance::suite!(RabbitNode);

/// A private virtual host with durable queues, on a node that no other test uses at the same time.
pub(crate) struct RabbitNode {
    pub(crate) vhost: Vhost<'static>,
    pub(crate) config: Config,
    _node: PooledNode,
    /// The messages that were drained so far.
    received: Vec<ReceivedMessage>,
}

/// The nodes of these tests.
static NODES: NodePool = NodePool::new(|| RabbitMq::builder().plugin("rabbitmq_amqp1_0").start());

/// Removes all messages from a queue over AMQP 1.0, and returns them.
pub(crate) fn drain(vhost: &Vhost<'_>, queue: &str) -> Vec<proton::ProtonMessage> {
    let mut messages = Vec::new();
    let Some(found) = vhost.queue(queue) else { return messages };
    let address = format!("/amq/queue/{queue}");
    let hostname = format!("vhost:{}", vhost.name());
    let port = vhost.broker().port();
    proton::read_messages(port, &hostname, &address, found.messages, true, |message| {
        messages.push(message);
    });
    messages
}

#[async_trait]
impl Harness for RabbitNode {
    /// The clauses that RabbitMQ 3 cannot provoke.
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Refuse, "RabbitMQ 3 accepts every message that it can decode"),
        (Capability::Retry, "RabbitMQ 3 ends the session if a queue refuses a message"),
    ];

    /// Takes an idle node or starts one, and declares the queues in a new virtual host.
    async fn start() -> Self {
        tokio::task::spawn_blocking(|| {
            let node = NODES.take();
            let vhost = node.vhost();
            for (queue, _) in QUEUES.into_iter().chain(OTHER_QUEUES) {
                vhost.declare_queue(queue, &json!({ "durable": true }));
            }
            // The broker still counts the connection that declared the queues for a moment.
            wait_until("no connection is left", || vhost.connections() == 0);
            let url =
                format!("amqp://guest:guest@127.0.0.1:{}/vhost:{}", node.port(), vhost.name());
            // Long enough for every answer of a broker that answers.
            let config = config(&url, json!({ "confirm_timeout": 5 }));
            Self { config, vhost, _node: node, received: Vec::new() }
        })
        .await
        .unwrap()
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Qpid::new(self.config.clone()).unwrap())
    }

    /// Drains the queues of all priorities and returns the messages of all drains.
    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let new = self
            .vhost
            .in_background(|vhost| {
                let queues = QUEUES.into_iter().chain(OTHER_QUEUES);
                let drained = queues.map(|(queue, priority)| (drain(vhost, queue), priority));
                drained.collect::<Vec<_>>()
            })
            .await;
        for (messages, priority) in new {
            self.received.extend(messages.into_iter().map(|message| ReceivedMessage {
                metadata: Some(MessageMetadata {
                    message_id: message.id.clone(),
                    event_type: message.properties["event_type"].as_str().unwrap().into(),
                    priority,
                    headers: message.properties.into_iter().map(as_json).collect(),
                }),
                body: message.body,
            }));
        }
        self.received.clone()
    }

    /// Counts the connections to the virtual host.
    async fn open_handles(&mut self) -> usize {
        self.vhost.in_background(Vhost::connections).await
    }

    /// Kills the node.
    async fn kill(&mut self) {
        self.vhost.in_background(|vhost| vhost.broker().kill()).await;
    }

    /// Starts the node again, with its durable queues.
    async fn restart(&mut self) {
        self.vhost.in_background(|vhost| vhost.broker().restart()).await;
    }

    /// Stops the node's process with a signal.
    async fn stall(&mut self) {
        self.vhost.broker().freeze();
    }

    async fn resume(&mut self) {
        self.vhost.broker().unfreeze();
    }

    /// Fills the queue of a priority, so that RabbitMQ 3 ends the session of each refused message, or
    /// suspends it.
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
