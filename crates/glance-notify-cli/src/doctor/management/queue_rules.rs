//! The limits in force on queues, from policies and from the arguments of their declarations.
//!
//! RabbitMQ merges the policy and the operator policy of a queue. Of two limits, the lower one applies; for
//! `overflow`, the argument does.

use std::time::Duration;

use glance_notify::codec::serde_json::{Map, Value};
use glance_notify::transport::{Finding, printable};
use glance_notify_cli::units::{short_bytes, short_duration};

use super::api_answers::QueueAnswer;

/// Returns a finding for each policy, or pair of policies, that is in force on some of `queues`, and for
/// arguments that bound a queue. `own` is the queue of a durable tap.
pub(crate) fn rule_findings(
    queues: &[QueueAnswer],
    own: Option<&str>,
    version: Option<(u32, u32)>,
) -> Vec<Finding> {
    let mut groups: Vec<(QueueRules, Vec<&QueueAnswer>)> = Vec::new();
    for queue in queues {
        for rules in queue.rules() {
            // Queues with the same limits share a line.
            let group = groups.iter_mut().find(|(other, _)| *other == rules);
            match group {
                Some((_, members)) => members.push(queue),
                None => groups.push((rules, vec![queue])),
            }
        }
    }
    let findings = groups.into_iter().map(|(rules, queues)| {
        let has_own = queues.iter().any(|queue| Some(queue.name.as_str()) == own);
        let mut effects = RuleEffects::default();
        effects.add_length(&rules, &queues);
        effects.add_times(&rules.limits, has_own && rules.origin != ARGUMENTS);
        effects.add_others(&rules.limits, version);
        let names: Vec<_> =
            queues.iter().map(|queue| format!("`{}`", printable(&queue.name, 255))).collect();
        let text = format!("on {}: {}", names.join(", "), effects.texts.join("; "));
        if effects.is_warning {
            Finding::warning(rules.origin, text)
        } else {
            Finding::good(rules.origin, text)
        }
    });
    findings.collect()
}

/// The limits of a queue that have one origin.
#[derive(PartialEq)]
struct QueueRules {
    /// The policies, or [`ARGUMENTS`].
    origin: String,
    limits: Map<String, Value>,
    /// What the queue does when it is full, whatever sets it.
    overflow: String,
}

impl QueueAnswer {
    /// Returns the limits of the policies and those of the arguments.
    fn rules(&self) -> Vec<QueueRules> {
        let name = |policy: &str| format!("`{}`", printable(policy, 255));
        let origin = match (self.policy.as_str(), self.operator_policy.as_str()) {
            ("", "") => None,
            (policy, "") => Some(format!("policy {}", name(policy))),
            ("", operator) => Some(format!("operator policy {}", name(operator))),
            (policy, operator) => {
                Some(format!("policy {} with operator policy {}", name(policy), name(operator)))
            }
        };
        let of_policies = origin.map(|origin| (origin, self.effective_policy_definition.clone()));
        let arguments = self.arguments.iter();
        let arguments = arguments.filter_map(|(key, value)| Some((key.strip_prefix("x-")?, value)));
        let limits = arguments.filter(|(key, _)| ARGUMENT_LIMITS.contains(key));
        let limits: Map<_, _> =
            limits.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        let of_arguments = (!limits.is_empty()).then(|| (ARGUMENTS.to_owned(), limits));
        let rules = of_policies.into_iter().chain(of_arguments);
        let overflow = self.overflow();
        rules
            .map(|(origin, limits)| QueueRules { origin, limits, overflow: overflow.to_owned() })
            .collect()
    }

    /// Returns the origin of a bound of the queue's length or of its messages' age, if there is one.
    pub(crate) fn bounded_by(&self) -> Option<String> {
        let bounds = ["max-length", "max-length-bytes", "message-ttl", "max-age"];
        let bounding =
            |rules: &QueueRules| bounds.iter().any(|key| rules.limits.contains_key(*key));
        self.rules().into_iter().find(bounding).map(|rules| rules.origin)
    }

    /// Returns what the queue does when it is full.
    fn overflow(&self) -> &str {
        let argument = self.arguments.get("x-overflow");
        let overflow = argument.or_else(|| self.effective_policy_definition.get("overflow"));
        overflow.and_then(Value::as_str).unwrap_or("drop-head")
    }
}

/// The effects of rules, as texts.
#[derive(Default)]
struct RuleEffects {
    texts: Vec<String>,
    is_warning: bool,
}

impl RuleEffects {
    /// Adds the bounds of the length, and the queues that have reached them.
    fn add_length(&mut self, rules: &QueueRules, queues: &[&QueueAnswer]) {
        let number = |key: &str| rules.limits.get(key).and_then(Value::as_u64);
        let (length, bytes) = (number("max-length"), number("max-length-bytes"));
        let limits = [
            length.map(|length| format!("{length} messages")),
            bytes.map(|bytes| short_bytes(bytes.into())),
        ];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        if limits.is_empty() {
            return;
        }
        let overflow = rules.overflow.as_str();
        let rejects = overflow.starts_with("reject");
        let effect = if rejects {
            self.is_warning = true;
            "rejects messages, and publishers of oslo.messaging wait until it has room"
        } else {
            "drops its oldest messages in silence"
        };
        let overflow = printable(overflow, 64);
        self.add(format!(
            "at most {}, beyond which the queue {effect} (`{overflow}`)",
            limits.join(" or ")
        ));
        for queue in queues {
            let one_more = queue.message_bytes_ready / queue.messages_ready.max(1);
            let next_size = queue.message_bytes_ready.saturating_add(one_more);
            let is_full = length.is_some_and(|length| queue.messages_ready >= length)
                || bytes.is_some_and(|bytes| next_size > bytes);
            if is_full && queue.messages_ready > 0 {
                self.is_warning = true;
                let happens = if rejects { "rejects" } else { "loses" };
                let name = printable(&queue.name, 255);
                self.add(format!("`{name}` is full and {happens} messages now"));
            }
        }
    }

    /// Adds the times of messages and of queues.
    fn add_times(&mut self, rules: &Map<String, Value>, is_own: bool) {
        let time = |key: &str| {
            let time = Duration::from_millis(rules.get(key)?.as_u64()?);
            let time = short_duration(time.try_into().ok()?);
            Some(time.trim_start_matches('+').to_owned())
        };
        if let Some(time) = time("message-ttl") {
            self.add(format!("messages disappear after {time}"));
        }
        if let Some(time) = time("expires") {
            self.add(format!("the broker deletes the queue after {time} without a consumer"));
        }
        if is_own && (rules.contains_key("message-ttl") || rules.contains_key("expires")) {
            self.is_warning = true;
            self.add("so your tap may lose notifications while no listener reads it".to_owned());
        }
    }

    /// Adds the rules that limit neither length nor time.
    fn add_others(&mut self, rules: &Map<String, Value>, version: Option<(u32, u32)>) {
        for (key, value) in rules {
            match key.as_str() {
                "max-length" | "max-length-bytes" | "overflow" | "message-ttl" | "expires" => {}
                "delivery-limit" => self.add(format!(
                    "the broker drops a message that consumers return {} times",
                    printable(&value.to_string(), 64)
                )),
                "dead-letter-exchange" => self.add(format!(
                    "what the queue drops goes to the exchange {}",
                    printable(&value.to_string(), 255)
                )),
                "ha-mode" if version.is_some_and(|version| version >= (4, 0)) => {
                    self.is_warning = true;
                    self.add("`ha-mode` has no effect since RabbitMQ 4: use quorum queues".into());
                }
                "ha-mode" => {
                    self.add("mirrored, which ends with RabbitMQ 4: use quorum queues then".into());
                }
                _ => {
                    let value = value.to_string();
                    self.add(format!("`{}` = {}", printable(key, 64), printable(&value, 64)));
                }
            }
        }
        if self.texts.is_empty() {
            self.add("sets no limit".to_owned());
        }
    }

    /// Adds a text.
    fn add(&mut self, text: String) {
        self.texts.push(text);
    }
}

/// The origin of the limits that the declaration of a queue brought.
const ARGUMENTS: &str = "queue arguments";
/// The arguments of a declaration that limit a queue, without their prefix `x-`.
const ARGUMENT_LIMITS: [&str; 7] = [
    "dead-letter-exchange",
    "delivery-limit",
    "expires",
    "max-age",
    "max-length",
    "max-length-bytes",
    "message-ttl",
];

#[cfg(test)]
mod tests {
    use glance_notify::codec::serde_json::{self, json};

    use super::super::finding_text::text;
    use super::*;

    fn queue(answer: Value) -> QueueAnswer {
        serde_json::from_value(answer).unwrap()
    }

    fn texts(queues: &[QueueAnswer], own: Option<&str>, version: (u32, u32)) -> Vec<String> {
        rule_findings(queues, own, Some(version)).iter().map(text).collect()
    }

    /// Each effect of a policy is named, and queues under the same policy share a line.
    #[test]
    fn a_policy_is_explained_once() {
        let of = |name: &str, definition: &Value| {
            queue(json!({
                "name": name, "policy": "unread", "effective_policy_definition": definition
            }))
        };
        let drops = json!({ "max-length-bytes": 104_857_600, "message-ttl": 3_600_000 });
        let found = texts(&[of("a", &drops), of("b", &drops)], None, (3, 10));
        let expected = "good policy `unread`: on `a`, `b`: at most 100.0 MiB, beyond which the queue drops \
                        its oldest messages in silence (`drop-head`); messages disappear after 1h00m";
        assert_eq!(found, [expected]);
        let rejects = json!({ "max-length": 10, "overflow": "reject-publish" });
        let found = texts(&[of("a", &rejects)], None, (3, 10));
        let expected = "warning policy `unread`: on `a`: at most 10 messages, beyond which the queue \
                        rejects messages, and publishers of oslo.messaging wait until it has room \
                        (`reject-publish`)";
        assert_eq!(found, [expected]);
        let mirrored = json!({ "ha-mode": "all", "delivery-limit": 3, "x\u{1b}": {} });
        let found = texts(&[of("a", &mirrored)], None, (4, 1));
        let expected = "warning policy `unread`: on `a`: the broker drops a message that consumers return \
                        3 times; `ha-mode` has no effect since RabbitMQ 4: use quorum queues; `x\\u{1b}` = {}";
        assert_eq!(found, [expected]);
        assert!(texts(&[of("a", &mirrored)], None, (3, 10))[0].starts_with("good "));
    }

    /// Policies of operators and arguments have lines of their own, and the argument decides about the
    /// overflow.
    #[test]
    fn arguments_and_operator_policies_count_too() {
        let bounded = queue(json!({
            "name": "a",
            "arguments": { "x-queue-type": "classic", "x-overflow": "drop-head" },
            "policy": "p",
            "operator_policy": "o",
            "effective_policy_definition": { "max-length": 5, "overflow": "reject-publish" },
        }));
        assert_eq!(bounded.bounded_by().unwrap(), "policy `p` with operator policy `o`");
        let found = texts(&[bounded], None, (3, 10));
        let expected = "good policy `p` with operator policy `o`: on `a`: at most 5 messages, beyond which \
                        the queue drops its oldest messages in silence (`drop-head`)";
        assert_eq!(found, [expected]);
        let rejecting = queue(json!({
            "name": "a", "arguments": { "x-max-length": 5 },
            "policy": "p", "effective_policy_definition": { "overflow": "reject-publish" },
        }));
        let found = texts(&[rejecting], None, (3, 10));
        assert_eq!(found[0], "good policy `p`: on `a`: sets no limit");
        assert!(found[1].starts_with("warning queue arguments: on `a`: at most 5 messages, "));
    }

    /// A full queue is told, by its number of messages or by their size.
    #[test]
    fn a_full_queue_is_named() {
        let full = |length: u64, bytes: u64, definition: Value| {
            let queue = queue(json!({
                "name": "q", "messages_ready": length, "message_bytes_ready": bytes,
                "policy": "p", "effective_policy_definition": definition,
            }));
            texts(&[queue], None, (3, 10)).remove(0).contains("`q` is full and loses messages now")
        };
        assert!(full(5, 50, json!({ "max-length": 5 })));
        assert!(!full(4, 40, json!({ "max-length": 5 })));
        assert!(full(4, 40, json!({ "max-length-bytes": 45 })));
        assert!(!full(4, 40, json!({ "max-length-bytes": 50 })));
        assert!(full(1, u64::MAX, json!({ "max-length-bytes": 50 })));
        assert!(!full(0, 0, json!({ "max-length": 0 })));
    }

    /// A policy that lets a durable tap lose messages is a warning, and the tap's own arguments are not.
    #[test]
    fn a_policy_on_our_own_tap_is_a_warning() {
        let tap = queue(json!({
            "name": "glance-notify.audit",
            "arguments": { "x-expires": 604_800_000, "x-max-length-bytes": 1 << 30 },
            "policy": "ttl",
            "effective_policy_definition": { "message-ttl": 1000 },
        }));
        let found = texts(&[tap], Some("glance-notify.audit"), (3, 10));
        let expected = "warning policy `ttl`: on `glance-notify.audit`: messages disappear after 1.0s; so \
                        your tap may lose notifications while no listener reads it";
        assert_eq!(found[0], expected);
        assert!(
            found[1].starts_with("good queue arguments: on `glance-notify.audit`: "),
            "{found:?}"
        );
    }
}
