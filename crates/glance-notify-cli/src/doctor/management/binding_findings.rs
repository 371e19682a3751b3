//! The findings about an exchange of a source, and about its bindings.

use std::collections::BTreeSet;

use glance_notify::listen::{RabbitSourceConfig, SourceQueue};
use glance_notify::transport::{Finding, printable};

use super::broker_snapshot::ExchangeSnapshot;

/// Returns the finding about the exchange and the one about its bindings.
pub(crate) fn exchange_findings(
    exchange: &ExchangeSnapshot,
    source: &RabbitSourceConfig,
) -> Vec<Finding> {
    let name = printable(&exchange.name, 255);
    vec![
        exchange_finding(format!("exchange `{name}`"), exchange, source),
        binding_finding(format!("bindings of exchange `{name}`"), exchange, source),
    ]
}

/// Returns the finding about the kind and the durability of an exchange.
fn exchange_finding(
    subject: String,
    exchange: &ExchangeSnapshot,
    source: &RabbitSourceConfig,
) -> Finding {
    let answer = &exchange.answer;
    let kind = printable(&answer.kind, 64);
    if answer.kind != "topic" {
        let text = format!(
            "is of the type `{kind}`: services of OpenStack and taps need a topic exchange; delete it, and \
             restart the services, which declare it again"
        );
        return Finding::warning(subject, text);
    }
    let rate = answer.message_stats.publish_in_details.as_ref();
    let rate = rate.map(|details| format!(", {:.1} messages/s with its RPC", details.rate));
    let rate = rate.unwrap_or_default();
    match (answer.durable, &source.queue) {
        (true, _) => Finding::good(subject, format!("topic, durable{rate}")),
        (
            false,
            SourceQueue::Durable { .. } | SourceQueue::Stream { .. } | SourceQueue::Pool { .. },
        ) => {
            let text = format!(
                "topic, not durable{rate}: a restart of the broker loses the binding, and the tap misses \
                 what is sent until it has bound again, a second after a service declares the exchange \
                 (`amqp_durable_queues = true` in the services prevents that)"
            );
            Finding::warning(subject, text)
        }
        (false, _) => Finding::good(subject, format!("topic, not durable{rate}")),
    }
}

/// Returns the finding about the queues that get the topics of a source.
fn binding_finding(
    subject: String,
    exchange: &ExchangeSnapshot,
    source: &RabbitSourceConfig,
) -> Finding {
    let topics = source.topics.iter().map(|topic| {
        let bindings = exchange.bindings.iter();
        let taking = bindings.filter(|binding| binding.takes_topic(&exchange.answer.kind, topic));
        let destinations: BTreeSet<_> = taking
            .map(|binding| {
                let kind = if binding.leads_to_a_queue() { "" } else { "exchange " };
                format!("{kind}`{}`", printable(&binding.destination, 255))
            })
            .collect();
        let shown: Vec<_> = destinations.iter().take(MOST_NAMES).map(String::as_str).collect();
        let shown = match destinations.len().saturating_sub(MOST_NAMES) {
            0 if shown.is_empty() => "no queue".to_owned(),
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        };
        format!("`{}` goes to {shown}", printable(topic, 255))
    });
    let topics: Vec<_> = topics.collect();
    if exchange.bindings.is_empty() {
        let topics: Vec<_> = source.topics.iter().map(|topic| printable(topic, 255)).collect();
        let topics: Vec<_> = topics.iter().map(|topic| format!("`{topic}`")).collect();
        let text = format!(
            "no queue is bound for {}: the broker discards what services send there, until one of them \
             declares its queues again or a tap is bound",
            topics.join(" or ")
        );
        return Finding::warning(subject, text);
    }
    Finding::good(subject, topics.join("; "))
}

/// The most destinations of a topic that a text shows.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::api_answers::{BindingAnswer, ExchangeAnswer};
    use super::super::finding_text::text;
    use super::*;

    fn snapshot(kind: &str, durable: bool, bindings: &[(&str, &str)]) -> ExchangeSnapshot {
        let bindings = bindings.iter().map(|(destination, key)| BindingAnswer {
            destination: (*destination).into(),
            destination_type: if *destination == "mirror" { "exchange" } else { "queue" }.into(),
            routing_key: (*key).into(),
            ..Default::default()
        });
        let answer = ExchangeAnswer { kind: kind.into(), durable, ..Default::default() };
        ExchangeSnapshot { name: "glance".into(), answer, bindings: bindings.collect() }
    }

    /// An exchange of another type, and one without a binding, each explain why nothing arrives.
    #[test]
    fn a_wrong_type_and_a_missing_binding_are_named() {
        let source = RabbitSourceConfig::default();
        let found = exchange_findings(&snapshot("fanout", true, &[]), &source);
        let expected = "warning exchange `glance`: is of the type `fanout`: ";
        assert!(text(&found[0]).starts_with(expected), "{}", text(&found[0]));
        let expected = "warning bindings of exchange `glance`: no queue is bound for `notifications` or \
                        `versioned_notifications`: ";
        assert!(text(&found[1]).starts_with(expected), "{}", text(&found[1]));
    }

    /// The destinations of each topic are named once.
    #[test]
    fn bindings_are_listed_by_topic() {
        let source = RabbitSourceConfig::default();
        let bindings = [
            ("notifications.info", "notifications.info"),
            ("tap", "notifications.#"),
            ("tap", "notifications.info"),
            ("mirror", "#"),
        ];
        let found = exchange_findings(&snapshot("topic", false, &bindings), &source);
        assert_eq!(text(&found[0]), "good exchange `glance`: topic, not durable");
        let expected = "good bindings of exchange `glance`: `notifications` goes to \
                        `notifications.info`, `tap`, exchange `mirror`; `versioned_notifications` goes to \
                        exchange `mirror`";
        assert_eq!(text(&found[1]), expected);
    }

    /// Only a tap that outlives a restart of the broker misses messages because of the exchange.
    #[test]
    fn a_durable_tap_needs_a_durable_exchange() {
        let mut source = RabbitSourceConfig::default();
        let queue_type = glance_notify::transport::rabbit::QueueType::Classic;
        source.queue = SourceQueue::Durable { name: "audit".into(), queue_type };
        let found = exchange_findings(&snapshot("topic", false, &[]), &source);
        assert!(text(&found[0]).starts_with("warning exchange `glance`: topic, not durable: "));
        let found = exchange_findings(&snapshot("topic", true, &[]), &source);
        assert_eq!(text(&found[0]), "good exchange `glance`: topic, durable");
    }
}
