//! The examination of a broker beyond the source's own: queues that nothing reads, and traps of versions.
//!
//! Passive declarations need no permission but to connect, and change nothing.

use glance_notify::listen::{QueueDepth, RabbitSource, RabbitSourceConfig, SourceConfig};
use glance_notify::transport::{Finding, FindingState, printable};

use super::diagnosis::Diagnosis;

/// Adds the findings about the queues and the version of a source's broker.
pub(super) async fn examine(source: &SourceConfig, diagnosis: &mut Diagnosis) {
    let Some(broker) = source.broker() else { return };
    let version = diagnosis.findings.iter().rev().find_map(|(_, finding)| {
        let FindingState::Good(text) = &finding.state else { return None };
        (finding.subject == "broker").then(|| version(text)).flatten()
    });
    if version.is_some_and(|version| version >= (4, 3)) {
        let text = "RabbitMQ 4.3 and later refuses the transient queues that OpenStack's services declare: \
                    set `amqp_durable_queues = true` in their files, or on the broker \
                    `deprecated_features.permit.transient_nonexcl_queues = true`";
        diagnosis.add(source.name(), Finding::warning("version", text));
    }
    let depths = match RabbitSource::new(broker.clone()) {
        Ok(mut source) => source.queue_depths().await,
        Err(error) => Err(error),
    };
    match depths {
        Ok(depths) => {
            let findings = queue_findings(broker, &depths, &mut diagnosis.unread);
            for finding in findings {
                diagnosis.add(source.name(), finding);
            }
        }
        Err(error) => diagnosis.add(source.name(), Finding::bad("queues", error)),
    }
}

/// Returns a finding for each queue of the topics, and adds the messages that nothing reads to `unread`.
fn queue_findings(
    broker: &RabbitSourceConfig,
    depths: &[QueueDepth],
    unread: &mut u64,
) -> Vec<Finding> {
    let virtual_host = broker.endpoint.virtual_host.as_deref().unwrap_or("/");
    if depths.is_empty() {
        let topics = broker.topics.join(", ");
        let text = format!(
            "no queue of the topics {} exists in the virtual host `{}`: no publisher has sent since it was \
             created, or `driver` and `topics` below `[oslo_messaging_notifications]` differ",
            printable(&topics, MAX_NAME),
            printable(virtual_host, MAX_NAME)
        );
        return vec![Finding::warning("queues", text)];
    }
    let finding = |depth: &QueueDepth| {
        let QueueDepth { queue, messages, consumers, .. } = depth;
        let subject = format!("queue `{}`", printable(queue, MAX_NAME));
        match depth.backlog_advice(virtual_host) {
            Some(advice) => {
                *unread += u64::from(*messages);
                Finding::warning(subject, advice)
            }
            None => Finding::good(subject, format!("{messages} messages, {consumers} consumers")),
        }
    };
    depths.iter().map(finding).collect()
}

/// Returns the major and the minor version in a text such as `RabbitMQ 4.3.0 at rabbit1:5672`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("RabbitMQ ")?.split(['.', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    /// The trap of RabbitMQ 4.3 depends on the version in the finding about the broker.
    #[test]
    fn reads_the_version_of_the_broker() {
        assert_eq!(version("RabbitMQ 4.3.0 at rabbit1:5672 (192.0.2.7)"), Some((4, 3)));
        assert_eq!(version("RabbitMQ 3.10.8 at rabbit1:5672"), Some((3, 10)));
        assert_eq!(version("another broker 4.3.0"), None);
    }
}
