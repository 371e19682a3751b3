//! The management API of RabbitMQ: what passive declarations cannot show.
//!
//! It knows the kinds of exchanges, all bindings, the policies in force, who consumes, alarms, and blocked
//! connections. Every request is a GET: nothing here changes the broker.
//!
//! ```text
//! api_location ──► api_client ──► broker_snapshot ──► binding_findings, cluster_findings
//!                   (HTTP)         (api_answers)  └─► queue_problems, queue_rules
//! ```
//!
//! The answers are texts from outside: every finding escapes the names that it shows. An API that answers
//! nonsense is a finding, and the rest of `doctor` goes on.

mod api_answers;
mod api_client;
mod api_location;
mod binding_findings;
mod broker_snapshot;
mod cluster_findings;
mod connected_programs;
#[cfg(test)]
mod finding_text;
mod queue_problems;
mod queue_rules;

pub(super) use self::api_answers::QueueAnswer;
pub(super) use self::api_location::ApiLocation;
pub(super) use self::binding_findings::exchange_findings;
pub(super) use self::broker_snapshot::BrokerSnapshot;
pub(super) use self::cluster_findings::cluster_findings;
pub(super) use self::queue_rules::rule_findings;
