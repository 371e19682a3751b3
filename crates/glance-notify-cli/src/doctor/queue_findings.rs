//! The findings about one queue, by its depth and by what the management API adds.

use glance_notify::listen::{QueueDepth, RabbitSourceConfig, SourceQueue};
use glance_notify::transport::{Finding, printable};

use super::management::{BrokerSnapshot, QueueAnswer};

/// The role of a queue, which decides about the advice for its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueRole {
    /// A stream. It keeps messages that were read, and RabbitMQ counts none of its consumers.
    Stream,
    /// The queue of the source's durable tap. It is bounded, and only the listener reads it.
    OwnTap,
    /// Any other queue. Without a consumer, it grows.
    Other,
}

impl QueueRole {
    /// Returns the role of a queue. Without a snapshot, only the source's own streams are known.
    pub(super) fn of(
        queue: &str,
        broker: &RabbitSourceConfig,
        snapshot: Option<&BrokerSnapshot>,
    ) -> Self {
        let answer = snapshot.and_then(|snapshot| snapshot.queue(queue));
        if answer.is_some_and(QueueAnswer::is_stream) {
            return Self::Stream;
        }
        match &broker.queue {
            SourceQueue::Stream { name, .. } if RabbitSourceConfig::tap_queue(name) == queue => {
                Self::Stream
            }
            SourceQueue::SharedStream { stream, .. } if stream == queue => Self::Stream,
            SourceQueue::Durable { name, .. } if RabbitSourceConfig::tap_queue(name) == queue => {
                Self::OwnTap
            }
            _ => Self::Other,
        }
    }
}

/// Returns a finding for each problem of a queue, or a good one with its numbers.
///
/// A queue without a consumer is a problem as soon as it holds a message, unless it is a stream.
pub(super) fn queue_findings(
    depth: &QueueDepth,
    role: QueueRole,
    broker: &RabbitSourceConfig,
    snapshot: Option<&BrokerSnapshot>,
) -> Vec<Finding> {
    let virtual_host = broker.endpoint.virtual_host.as_deref().unwrap_or("/");
    let QueueDepth { queue, messages, consumers, .. } = depth;
    let subject = format!("queue `{}`", printable(queue, 255));
    let answer = snapshot.and_then(|snapshot| snapshot.queue(queue));
    let programs = snapshot.zip(answer).map(|(snapshot, answer)| snapshot.consumers_of(answer));
    let growth = answer.and_then(QueueAnswer::growth);
    let growth =
        growth.map(|rate| format!("; it grows by {rate:.1} messages/s")).unwrap_or_default();
    let mut problems = Vec::new();
    let advice = depth.backlog_advice(virtual_host).filter(|_| role != QueueRole::Stream);
    if let Some(advice) = advice {
        let advice = match answer.and_then(QueueAnswer::bounded_by) {
            // A policy would drop notifications that the tap keeps for the listener.
            _ if role == QueueRole::OwnTap => {
                format!("{messages} messages and no consumer: start the listener, which reads them")
            }
            Some(bound) => {
                format!("{messages} messages and no consumer: start one; {bound} bounds the queue")
            }
            // Without the management API, a policy in force is invisible.
            None if snapshot.is_none() => {
                advice + ", unless a policy bounds it already: `--management` shows"
            }
            None => advice,
        };
        problems.push(advice + &growth);
    }
    if let Some((answer, programs)) = answer.zip(programs.as_ref()) {
        problems.extend(answer.state_problem());
        problems.extend(answer.binding_problem());
        problems.extend(answer.consumer_problem(programs));
    }
    if problems.is_empty() {
        let programs = programs.filter(|programs| programs.count() > 0);
        let programs = programs.map(|programs| format!(": {programs}")).unwrap_or_default();
        let text = match (role, answer) {
            (QueueRole::Stream, Some(answer)) => {
                let consumers = answer.depth().consumers;
                format!(
                    "{messages} messages, read and unread, {consumers} consumers{programs}{growth}"
                )
            }
            (QueueRole::Stream, None) => format!(
                "{messages} messages, read and unread; `--management` shows the consumers of a \
                 stream"
            ),
            _ => format!("{messages} messages, {consumers} consumers{programs}{growth}"),
        };
        return vec![Finding::good(subject, text)];
    }
    problems.into_iter().map(|problem| Finding::warning(subject.clone(), problem)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glance_notify::listen::StreamPosition;
    use glance_notify::transport::FindingState;
    use glance_notify::transport::rabbit::QueueType;

    use super::*;

    /// A stream has no backlog, the own tap needs its listener, and only other queues need a policy.
    #[test]
    fn the_role_decides_about_the_advice() {
        let name = || "audit".to_owned();
        let tap = "glance-notify.audit";
        let (max_age, position) = (Duration::from_secs(60), StreamPosition::default());
        let stream = SourceQueue::Stream { name: name(), max_age, position: position.clone() };
        let shared = SourceQueue::SharedStream { stream: name(), position };
        let durable = SourceQueue::Durable { name: name(), queue_type: QueueType::Quorum };
        for (source, queue, role, expected) in [
            (stream.clone(), tap, QueueRole::Stream, "7 messages, read and unread; "),
            (shared, "audit", QueueRole::Stream, "7 messages, read and unread; "),
            (durable.clone(), tap, QueueRole::OwnTap, ": start the listener, which reads them"),
            (stream, "audit", QueueRole::Other, "`rabbitmqctl set_policy "),
            (durable, "audit", QueueRole::Other, "`rabbitmqctl set_policy "),
            (SourceQueue::Temporary, tap, QueueRole::Other, "`rabbitmqctl set_policy "),
        ] {
            let mut broker = RabbitSourceConfig::default();
            broker.queue = source;
            assert_eq!(QueueRole::of(queue, &broker, None), role, "{broker:?}");
            let findings = queue_findings(&QueueDepth::new(queue, 7, 0), role, &broker, None);
            let [finding] = &findings[..] else { panic!("{findings:?}") };
            let (is_good, text) = match &finding.state {
                FindingState::Good(text) => (true, text),
                FindingState::Warning(text) => (false, text),
                FindingState::Bad(error) => panic!("{error}"),
            };
            assert_eq!(is_good, role == QueueRole::Stream, "{text}");
            assert!(text.contains(expected), "{text}");
            assert!(role == QueueRole::Other || !text.contains("set_policy"), "{text}");
            let proviso = "`, unless a policy bounds it already: `--management` shows";
            assert_eq!(text.ends_with(proviso), role == QueueRole::Other, "{text}");
        }
    }
}
