//! Warnings about queues without a consumer: those that this program fills, and those that it reads beside.
//!
//! Such queues grow until the broker runs out of memory or disk space. They are the most frequent way
//! in which notifications bring a broker down. This module warns; it limits, purges and deletes
//! nothing.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Queue;
use lapin::types::ShortString;
use notify_core::redact::printable;
use tokio::time::timeout;

use crate::broker_entity::BrokerEntity;
use crate::config::Config;
use crate::connection::{Connection, ConnectionTask};
use crate::rabbitmqctl::{pattern, quoted};
use crate::runtime::silently;
use crate::topology::Topology;

/// The queues with an open warning. The set outlives a connection, so each backlog causes one
/// warning.
pub(crate) type WarnedQueues = Arc<Mutex<HashSet<ShortString>>>;

/// Starts a task that checks the queues now and every minute, until the returned handle is dropped.
///
/// Errors end a check silently: the next send reports them.
pub(crate) fn monitor(
    connection: &Connection,
    topology: &Topology,
    config: &Config,
    warned: &WarnedQueues,
) -> ConnectionTask {
    let channels = connection.channel_opener();
    let queues = topology.queues().clone();
    let monitor = BacklogMonitor {
        host: connection.context.host.to_string(),
        virtual_host: config.virtual_host().to_owned(),
        topic: config.topic.clone(),
        limit: config.backlog_warning,
        warned: Arc::clone(warned),
    };
    ConnectionTask::spawn(async move {
        let mut interval = tokio::time::interval(CHECK_INTERVAL);
        loop {
            interval.tick().await;
            for queue in &queues {
                // The broker closes the channel if the queue does not exist, so each check opens a
                // channel of its own.
                let look_up = async {
                    let channel = channels.open().await.ok()?;
                    BrokerEntity::Queue(queue).look_up(&channel).await.ok()?
                };
                if let Ok(Some(found)) = timeout(LOOK_UP_TIMEOUT, silently(look_up)).await {
                    monitor.evaluate(&found);
                }
            }
        }
    })
}

/// The state of the monitoring task.
struct BacklogMonitor {
    host: String,
    virtual_host: String,
    topic: String,
    /// The number of messages that a queue without a consumer may hold.
    limit: u32,
    warned: WarnedQueues,
}

impl BacklogMonitor {
    /// Logs the begin and the end of a backlog, once each.
    ///
    /// A backlog begins when a queue without a consumer holds more messages than the limit. It ends
    /// with a consumer, or below the limit.
    fn evaluate(&self, queue: &Queue) {
        let (messages, consumers) = (queue.message_count(), queue.consumer_count());
        let name = printable(queue.name().as_str(), 255);
        let host = &self.host;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if messages > self.limit && consumers == 0 {
            if warned.insert(queue.name().clone()) {
                tracing::warn!(
                    "queue `{name}` at {host} holds {messages} messages and has no consumer: start \
                     one, or limit the queue with {}",
                    limit_command(
                        &self.virtual_host,
                        LimitedQueues::OfTopic(&self.topic),
                        OverflowPolicy::Reject
                    )
                );
            }
        } else if warned.remove(queue.name()) {
            tracing::info!(
                "the backlog of queue `{name}` at {host} has ended: {messages} messages, \
                 {consumers} consumers"
            );
        }
    }
}

/// The effect of a limit on a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverflowPolicy {
    /// The queue rejects publishes, so that a notifier keeps the messages.
    Reject,
    /// The queue drops its oldest messages. oslo.messaging waits without an end for a queue that rejects
    /// them.
    #[cfg(feature = "source")]
    DropOldest,
}

/// The queues that a limit is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitedQueues<'a> {
    /// The queues of a topic.
    OfTopic(&'a str),
    /// The queue of this name.
    #[cfg(feature = "source")]
    One(&'a str),
}

/// Returns the command that limits queues to [`QUEUE_BYTES`] each.
pub(crate) fn limit_command(
    virtual_host: &str,
    queues: LimitedQueues<'_>,
    policy: OverflowPolicy,
) -> String {
    let virtual_host = quoted(virtual_host);
    let (subject, queues) = match (queues, policy) {
        (LimitedQueues::OfTopic(topic), OverflowPolicy::Reject) => {
            (policy_subject(topic), format!(r"^{}\.(info|warn|error)$", pattern(topic)))
        }
        #[cfg(feature = "source")]
        (LimitedQueues::OfTopic(topic), OverflowPolicy::DropOldest) => {
            (policy_subject(topic), format!(r"^{}\.", pattern(topic)))
        }
        #[cfg(feature = "source")]
        (LimitedQueues::One(queue), _) => {
            (format!("queue-{}", policy_subject(queue)), format!("^{}$", pattern(queue)))
        }
    };
    let queues = quoted(&queues);
    let (effect, overflow) = match policy {
        OverflowPolicy::Reject => ("reject", ",\"overflow\":\"reject-publish\""),
        #[cfg(feature = "source")]
        OverflowPolicy::DropOldest => ("unread", ""),
    };
    format!(
        "`rabbitmqctl set_policy -p {virtual_host} {effect}-{subject} {queues} \
         '{{\"max-length-bytes\":{QUEUE_BYTES}{overflow}}}' --apply-to queues`"
    )
}

/// Returns the part of a policy's name that tells its topic or queue from others.
///
/// In a virtual host, a second policy of the same name replaces the first. A shell and RabbitMQ take every
/// character of the result as it is: other characters become `%` and hexadecimal digits.
fn policy_subject(name: &str) -> String {
    let mut subject = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            subject.push(char::from(byte));
        } else {
            // Writing to a `String` succeeds.
            let _ = write!(subject, "%{byte:02X}");
        }
    }
    subject
}

/// The bytes of a queue with a limit. The documents set the same policies with the same number: a policy replaces
/// another one of its name, and a smaller number would make the broker drop messages at once.
const QUEUE_BYTES: u64 = 1024 * 1024 * 1024;
/// The time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The time for one queue.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell and RabbitMQ take the names in the command as they are, whatever characters they have.
    #[test]
    fn the_command_quotes_names() {
        let queues = LimitedQueues::OfTopic("a.b+'c");
        let command = limit_command("it's", queues, OverflowPolicy::Reject);
        assert!(command.contains(r"-p 'it'\''s' reject-a.b%2B%27c "), "{command}");
        assert!(command.contains(r" '^a\.b\+'\''c\.(info|warn|error)$' "), "{command}");
    }

    /// The command for a queue without a reader is the documented one: a smaller limit of the same name would make
    /// the broker drop messages.
    #[cfg(feature = "source")]
    #[test]
    fn the_command_has_the_documented_limit() {
        let document = include_str!("../../../docs/listening.md").replace("\\\n    ", "");
        for topic in ["notifications", "versioned_notifications"] {
            let queues = LimitedQueues::OfTopic(topic);
            let command = limit_command("openstack", queues, OverflowPolicy::DropOldest);
            let command = command.trim_matches('`').replace("-p 'openstack'", "-p openstack");
            assert!(document.contains(&command), "{command}");
        }
    }

    /// The commands for different queues name different policies, so that none replaces another.
    #[cfg(feature = "source")]
    #[test]
    fn each_topic_and_queue_has_its_own_policy() {
        let name = |queues, policy| {
            let command = limit_command("/", queues, policy);
            command.split(' ').nth(4).unwrap().to_owned()
        };
        let (topic, queue) = (LimitedQueues::OfTopic, LimitedQueues::One);
        let names = [
            name(topic("notifications"), OverflowPolicy::DropOldest),
            name(topic("versioned_notifications"), OverflowPolicy::DropOldest),
            name(topic("notifications"), OverflowPolicy::Reject),
            name(queue("notifications"), OverflowPolicy::DropOldest),
            name(queue("a b"), OverflowPolicy::DropOldest),
            name(queue("a/b"), OverflowPolicy::DropOldest),
        ];
        let expected = [
            "unread-notifications",
            "unread-versioned_notifications",
            "reject-notifications",
            "unread-queue-notifications",
            "unread-queue-a%20b",
            "unread-queue-a%2Fb",
        ];
        assert_eq!(names, expected);
    }
}
