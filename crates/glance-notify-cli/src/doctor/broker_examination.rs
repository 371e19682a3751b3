//! The examination of a broker beyond the source's own: queues that nothing reads, and traps of versions.
//!
//! Passive declarations need no permission but to connect, and change nothing. With `--management`, the management
//! API adds bindings, policies, consumers and alarms.

use glance_notify::listen::{
    QueueDepths, RabbitSource, RabbitSourceConfig, SourceConfig, SourceQueue,
};
use glance_notify::transport::{Finding, FindingState, printable};

use super::diagnosis::Diagnosis;
use super::management::{
    ApiLocation, BrokerSnapshot, cluster_findings, exchange_findings, rule_findings,
};
use super::queue_findings::{QueueRole, queue_findings};
use super::time_limit::within_time;

/// Adds the findings about the queues and the version of a source's broker, and what its management API says.
pub(super) async fn examine(
    source: &SourceConfig,
    management: Option<&ApiLocation>,
    diagnosis: &mut Diagnosis,
) {
    let Some(broker) = source.broker() else { return };
    let name = source.name();
    let virtual_host = broker.endpoint.virtual_host.as_deref().unwrap_or("/");
    let version = diagnosis.findings.iter().rev().find_map(|(_, finding)| {
        let FindingState::Good(text) = &finding.state else { return None };
        (finding.subject == "broker").then(|| version(text)).flatten()
    });
    let depths = match RabbitSource::new(broker.clone()) {
        Ok(mut source) => within_time(source.queue_depths()).await,
        Err(error) => Err(error),
    };
    // Without an answer about each of them, none may be said to be missing.
    let is_known = depths.as_ref().is_ok_and(|depths| depths.errors.is_empty());
    let QueueDepths { queues: mut depths, errors, .. } = depths.unwrap_or_else(|error| {
        diagnosis.add(name, Finding::bad("queues", error));
        QueueDepths::default()
    });
    for (queue, error) in &errors {
        let subject = format!("queue `{}`", printable(queue, MAX_NAME));
        diagnosis.add_unless_bad(name, Finding::bad(subject, error.clone()));
    }
    let mut snapshot = None;
    if let Some(location) = management {
        let names = depths.iter().map(|depth| depth.queue.as_str());
        let names = names.chain(errors.iter().map(|(queue, _)| queue.as_str()));
        match within_time(BrokerSnapshot::read(location, broker, names)).await {
            Ok(read) => snapshot = Some(read),
            Err(error) => diagnosis.add(name, Finding::bad("management", error)),
        }
    }
    let snapshot = snapshot.as_ref();
    diagnosis.refine(name, version_finding(version, snapshot).into_iter().collect());
    if let Some(snapshot) = snapshot {
        diagnosis.refine(name, cluster_findings(snapshot, virtual_host));
        for exchange in &snapshot.exchanges {
            diagnosis.refine(name, exchange_findings(exchange, broker));
        }
        // Queues of other names that are bound for the topics, such as taps and pools.
        for queue in &snapshot.queues {
            if !depths.iter().any(|depth| depth.queue == queue.name) {
                depths.push(queue.depth());
            }
        }
    }
    if is_known && depths.is_empty() {
        diagnosis.add(name, no_queue(broker, virtual_host));
    }
    let hosts: Vec<_> = broker.endpoint.hosts.iter().map(ToString::to_string).collect();
    for depth in &depths {
        let role = QueueRole::of(&depth.queue, broker, snapshot);
        let mut findings = queue_findings(depth, role, broker, snapshot);
        if errors.iter().any(|(queue, _)| *queue == depth.queue) {
            // The management API also counts a queue that cannot be looked up, which makes it no good one.
            findings.retain(|finding| !matches!(finding.state, FindingState::Good(_)));
        }
        // The messages of a stream stay after they are read.
        if depth.consumers == 0 && role != QueueRole::Stream {
            let place = (hosts.clone(), virtual_host.to_owned(), depth.queue.clone());
            diagnosis.add_unread(place, depth.messages);
        }
        diagnosis.refine(name, findings);
    }
    if let Some(snapshot) = snapshot {
        let own = own_tap(broker);
        diagnosis.refine(name, rule_findings(&snapshot.queues, own.as_deref(), version));
    }
}

/// Returns the finding about the queues that RabbitMQ 4.3 refuses, if it matters for this version.
fn version_finding(
    version: Option<(u32, u32)>,
    snapshot: Option<&BrokerSnapshot>,
) -> Option<Finding> {
    let advice = "set `amqp_durable_queues = true` in the files of OpenStack's services";
    if version.is_some_and(|version| version >= (4, 3)) {
        let text = format!(
            "RabbitMQ 4.3 and later refuses the transient queues that OpenStack's services declare: \
             {advice}, or on the broker `deprecated_features.permit.transient_nonexcl_queues = true`"
        );
        return Some(Finding::warning("version", text));
    }
    let transient = snapshot?.queues.iter().filter(|queue| queue.is_refused_by_4_3());
    let transient: Vec<_> =
        transient.map(|queue| format!("`{}`", printable(&queue.name, MAX_NAME))).collect();
    (!transient.is_empty()).then(|| {
        let text = format!(
            "RabbitMQ 4.3 refuses transient queues such as {}: {advice} before you upgrade",
            transient.join(", ")
        );
        Finding::warning("version", text)
    })
}

/// Returns the finding about a virtual host without a queue of the topics.
fn no_queue(broker: &RabbitSourceConfig, virtual_host: &str) -> Finding {
    let topics = broker.topics.join(", ");
    let text = format!(
        "no queue of the topics {} exists in the virtual host `{}`: no publisher has sent since it was \
         created, or `driver` and `topics` below `[oslo_messaging_notifications]` differ",
        printable(&topics, MAX_NAME),
        printable(virtual_host, MAX_NAME)
    );
    Finding::warning("queues", text)
}

/// Returns the queue of the source's durable tap, if it has one.
fn own_tap(broker: &RabbitSourceConfig) -> Option<String> {
    match &broker.queue {
        SourceQueue::Durable { name, .. } | SourceQueue::Stream { name, .. } => {
            Some(RabbitSourceConfig::tap_queue(name))
        }
        _ => None,
    }
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
