//! Watches for queues that nobody reads: the commonest way in which notifications bring a broker
//! down.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Queue;
use lapin::types::ShortString;
use notify_core::redact::printable;
use tokio::time::timeout;

use crate::config::Config;
use crate::connection::{Connection, Task};
use crate::runtime::quietly;
use crate::topology::{Node, Topology};

/// The queues of which the operator was told; outlives a connection.
pub(crate) type Backlog = Arc<Mutex<HashSet<ShortString>>>;

/// Looks at the queues now and every minute, for as long as the task is kept.
pub(crate) fn watch(
    connection: &Connection,
    topology: &Topology,
    config: &Config,
    backlog: &Backlog,
) -> Task {
    let channels = connection.channels();
    let queues = topology.queues().clone();
    let watch = Watch {
        host: connection.site.host.to_string(),
        virtual_host: config.virtual_host.clone(),
        topic: config.topic.clone(),
        limit: config.backlog_warning,
        backlog: Arc::clone(backlog),
    };
    Task::spawn(async move {
        let mut every_minute = tokio::time::interval(INTERVAL);
        loop {
            every_minute.tick().await;
            for queue in &queues {
                // On a channel of its own: asking for a queue that is not there ends it.
                let look = async {
                    let channel = channels.open().await.ok()?;
                    Node::Queue(queue).look(&channel).await.ok()?
                };
                if let Ok(Some(found)) = timeout(PATIENCE, quietly(look)).await {
                    watch.judge(&found);
                }
            }
        }
    })
}

struct Watch {
    host: String,
    virtual_host: String,
    topic: String,
    limit: u32,
    backlog: Backlog,
}

impl Watch {
    fn judge(&self, queue: &Queue) {
        let (messages, consumers) = (queue.message_count(), queue.consumer_count());
        let name = printable(queue.name().as_str(), 255);
        let host = &self.host;
        let mut told = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if messages > self.limit && consumers == 0 {
            if told.insert(queue.name().clone()) {
                tracing::warn!(
                    "queue `{name}` at {host} holds {messages} messages and nobody reads it: \
                     read it, or bound it with {}",
                    self.policy()
                );
            }
        } else if told.remove(queue.name()) {
            tracing::info!(
                "queue `{name}` at {host} is read again: {messages} messages, {consumers} consumers"
            );
        }
    }

    /// The command that bounds the queues and pushes back to us, instead of losing what was
    /// confirmed.
    fn policy(&self) -> String {
        policy(&self.virtual_host, &self.topic)
    }
}

/// The command that bounds the queues of `topic`.
pub(crate) fn policy(virtual_host: &str, topic: &str) -> String {
    format!(
        "`rabbitmqctl set_policy -p '{}' notifications '^{}\\.(info|warn|error)$' \
         '{{\"max-length-bytes\":1073741824,\"overflow\":\"reject-publish\"}}' --apply-to queues`",
        printable(virtual_host, 255),
        printable(topic, 255),
    )
}

const INTERVAL: Duration = Duration::from_secs(60);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);
