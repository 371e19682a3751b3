//! The findings about one queue, by its depth and by what the management API adds.

use glance_notify::listen::{QueueDepth, RabbitSourceConfig};
use glance_notify::transport::{Finding, printable};

use super::management::{BrokerSnapshot, QueueAnswer};

/// Returns a finding for each problem of a queue, or a good one with its numbers.
///
/// A queue without a consumer is a problem as soon as it holds a message.
pub(super) fn queue_findings(
    depth: &QueueDepth,
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
    if let Some(advice) = depth.backlog_advice(virtual_host) {
        let advice = match answer.and_then(QueueAnswer::bounded_by) {
            Some(bound) => {
                format!("{messages} messages and no consumer: start one; {bound} bounds the queue")
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
        let text = format!("{messages} messages, {consumers} consumers{programs}{growth}");
        return vec![Finding::good(subject, text)];
    }
    problems.into_iter().map(|problem| Finding::warning(subject.clone(), problem)).collect()
}
