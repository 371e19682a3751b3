//! The conformance suite of the `Transport` contract, against RabbitMQ nodes.
//!
//! RabbitMQ supports every capability of the harness: a test can kill, freeze and restart a node, make
//! its queues reject messages by a policy, and count connections.

use std::sync::Mutex;

use async_trait::async_trait;
use notify_conformance::{
    Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage, samples,
};
use notify_core::event::NotificationPayload;
use notify_core::{Event, Notification, Priority, Transport};
use notify_rabbit::{Config, Rabbit};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::json;

use crate::support::config;

notify_conformance::suite!(RabbitHarness);

/// A new virtual host on a node that no other test uses at the same time.
struct RabbitHarness {
    vhost: Vhost<'static>,
    config: Config,
    received: Vec<ReceivedMessage>,
}

/// Idle nodes, for the next tests: starting a node takes longer than most tests. They end with the
/// process.
static IDLE_NODES: Mutex<Vec<&'static RabbitMq>> = Mutex::new(Vec::new());

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

impl RabbitHarness {
    /// Runs a blocking call about the virtual host on a thread that may block.
    async fn with_vhost<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Vhost<'static>) -> T + Send + 'static,
    ) -> T {
        let vhost = self.vhost.clone();
        tokio::task::spawn_blocking(move || run(&vhost)).await.unwrap()
    }
}

#[async_trait]
impl Harness for RabbitHarness {
    const UNSUPPORTED: &'static [(Capability, &'static str)] =
        &[(Capability::SilentLane, "no setting of RabbitMQ withholds confirms of one queue")];

    /// Takes an idle node or starts one, and creates a virtual host on it.
    async fn start() -> Self {
        let idle = IDLE_NODES.lock().unwrap().pop();
        tokio::task::spawn_blocking(move || {
            let broker = idle.unwrap_or_else(|| Box::leak(Box::new(RabbitMq::start())));
            let vhost = broker.vhost();
            let config = config(&vhost.url(), json!({}));
            Self { vhost, config, received: Vec::new() }
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
            .with_vhost(|vhost| {
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
            }),
            body: message.body,
        }));
        self.received.clone()
    }

    /// Counts the connections to the virtual host.
    async fn open_handles(&mut self) -> usize {
        self.with_vhost(Vhost::connections).await
    }

    /// Kills the node with SIGKILL.
    async fn kill(&mut self) {
        self.with_vhost(|vhost| vhost.broker().kill()).await;
    }

    async fn restart(&mut self) {
        self.with_vhost(|vhost| vhost.broker().restart()).await;
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

    /// Sets a policy under which the queues hold one message and nack the others.
    async fn start_declining(&mut self) {
        let full = json!({ "max-length": 1, "overflow": "reject-publish" });
        self.with_vhost(move |vhost| vhost.set_policy("full", ".*", &full)).await;
    }

    async fn stop_declining(&mut self) {
        self.with_vhost(|vhost| vhost.clear_policy("full")).await;
    }

    /// Sets such a policy for the queue of one priority.
    async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {
        let queue = format!(r"^notifications\.{}$", priority.lower());
        let full = json!({ "max-length": 1, "overflow": "reject-publish" });
        self.with_vhost(move |vhost| match fault {
            Some(_) => vhost.set_policy("full", &queue, &full),
            None => vhost.clear_policy("full"),
        })
        .await;
    }
}

/// Returns the node to the idle ones, unless the test failed and may have harmed it.
impl Drop for RabbitHarness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            IDLE_NODES.lock().unwrap().push(self.vhost.broker());
        }
    }
}
