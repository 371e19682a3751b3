//! The transport contract on a peer of Apache Qpid Proton: the conformance suite.
//!
//! This peer can do everything that a clause needs, so no clause is skipped here.

use std::sync::Arc;

use async_trait::async_trait;
use notify_conformance::{
    Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage, samples,
};
use notify_core::{Notification, Priority, Transport};
use notify_qpid::{Config, Qpid};
use notify_testbed::broker::proton::{PeerFault, PeerOutcome, ProtonPeer};
use serde_json::json;

use crate::support::{OTHER_QUEUES, QUEUES, as_json, config};

notify_conformance::suite!(ProtonHarness);

/// A private peer.
struct ProtonHarness {
    peer: Arc<ProtonPeer>,
    config: Config,
    /// Whether the peer runs; a killed one has no connections to count.
    alive: bool,
}

impl ProtonHarness {
    /// Runs `run` on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        run: impl FnOnce(&ProtonPeer) -> T + Send + 'static,
    ) -> T {
        let peer = Arc::clone(&self.peer);
        tokio::task::spawn_blocking(move || run(&peer)).await.unwrap()
    }
}

#[async_trait]
impl Harness for ProtonHarness {
    /// The peer supports every capability.
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[];

    /// Starts a peer with the three queues.
    async fn start() -> Self {
        let peer = tokio::task::spawn_blocking(ProtonPeer::start).await.unwrap();
        // Long enough for every answer of a peer that answers.
        let config = config(&peer.url(), json!({ "confirm_timeout": 5 }));
        Self { peer: Arc::new(peer), config, alive: true }
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Qpid::new(self.config.clone()).unwrap())
    }

    /// Reads the queues of all priorities.
    async fn received(&mut self) -> Vec<ReceivedMessage> {
        self.with(|peer| {
            let mut received = Vec::new();
            for (queue, priority) in QUEUES.into_iter().chain(OTHER_QUEUES) {
                received.extend(peer.messages(queue).into_iter().map(|message| ReceivedMessage {
                    metadata: Some(MessageMetadata {
                        message_id: message.id.clone(),
                        event_type: message.properties["event_type"].as_str().unwrap().into(),
                        priority,
                        headers: message.properties.into_iter().map(as_json).collect(),
                    }),
                    body: message.body,
                }));
            }
            received
        })
        .await
    }

    /// Counts the connections that the peer sees.
    async fn open_handles(&mut self) -> usize {
        if self.alive { self.with(|peer| peer.state().connections).await } else { 0 }
    }

    /// Kills the peer.
    async fn kill(&mut self) {
        self.alive = false;
        self.with(ProtonPeer::kill).await;
    }

    /// Starts the peer again on the same port.
    async fn restart(&mut self) {
        self.with(ProtonPeer::restart).await;
        self.alive = true;
    }

    /// Stops the peer's process with a signal.
    async fn stall(&mut self) {
        self.peer.freeze();
    }

    async fn resume(&mut self) {
        self.peer.unfreeze();
    }

    /// Tells the peer to reject this notification by its id.
    async fn refused_notification(&mut self) -> Notification {
        let notification = samples::notification(0);
        let id = notification.message_id.to_string();
        self.with(move |peer| peer.reject_id(&id)).await;
        notification
    }

    /// Lets the peer answer every message with `released`.
    async fn start_declining(&mut self) {
        self.with(|peer| peer.inject(PeerFault::Release, 0, None)).await;
    }

    /// Lets the peer accept messages again.
    async fn stop_declining(&mut self) {
        self.with(ProtonPeer::clear_faults).await;
    }

    /// Lets the peer release, or not answer, the messages of one queue.
    async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {
        let queue = format!("notifications.{}", priority.lower());
        self.with(move |peer| match fault {
            Some(LaneFault::Full) => peer.inject_at(&queue, PeerFault::Release),
            Some(LaneFault::Silent) => peer.inject_at(&queue, PeerFault::Hold),
            None => {
                peer.clear_faults();
                peer.settle_withheld(PeerOutcome::Accept);
            }
        })
        .await;
    }
}
