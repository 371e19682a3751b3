//! The least permissions of a reader of notifications: `--grant`.
//!
//! Read permission on an exchange of OpenStack also lets a user bind `#`, and copy every RPC with its
//! secrets. The topic permission keeps the user to notifications.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use glance_notify::listen::{RabbitSourceConfig, SourceConfig, SourceQueue};
use glance_notify::transport::printable;
use glance_notify::transport::rabbit::rabbitmqctl::{pattern, quoted};

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Prints the commands for each virtual host.
///
/// # Errors
///
/// Returns an error without a broker, or if standard output cannot be written.
pub(super) fn print(user: &str, sources: &[SourceConfig]) -> Result<ExitStatus, CommandError> {
    let brokers: Vec<_> = sources.iter().filter_map(SourceConfig::broker).collect();
    if brokers.is_empty() {
        let message = "--grant needs a broker: name one with `--from`";
        return Err(CommandError::new(ExitStatus::PermanentError, message));
    }
    let commands = commands(user, &brokers);
    write_stdout(|out| out.write_all(commands.as_bytes()))?;
    Ok(ExitStatus::Success)
}

/// Returns the commands, one a line. A comment stands before those of each virtual host if there are several.
fn commands(user: &str, brokers: &[&RabbitSourceConfig]) -> String {
    let mut grants: Vec<VirtualHostGrant> = Vec::new();
    for broker in brokers {
        let mut new = VirtualHostGrant::at(broker);
        let known = grants
            .iter_mut()
            .find(|grant| grant.hosts == new.hosts && grant.virtual_host == new.virtual_host);
        if let Some(known) = known {
            known.add(broker);
        } else {
            new.add(broker);
            grants.push(new);
        }
    }
    let mut text = String::new();
    for grant in &grants {
        if grants.len() > 1 {
            let place = format!("{}/{}", grant.hosts.join(","), grant.virtual_host);
            // Writing to a `String` succeeds.
            let _ = writeln!(text, "# {}", printable(&place, usize::MAX));
        }
        grant.write_commands(user, &mut text);
    }
    text
}

/// The permissions for all sources in one virtual host. They share commands, because each command replaces the
/// permissions that the user had there.
struct VirtualHostGrant {
    /// The hosts of the broker, sorted.
    hosts: Vec<String>,
    virtual_host: String,
    /// The patterns of the queues that the sources declare.
    own: Vec<String>,
    /// The patterns of the exchanges and queues that the sources read.
    read: Vec<String>,
    /// Each exchange that a source binds its queue to, with the patterns of the topics.
    topics: Vec<(String, BTreeSet<String>)>,
}

impl VirtualHostGrant {
    /// Creates a grant without permissions, at the place of a broker.
    fn at(broker: &RabbitSourceConfig) -> Self {
        let mut hosts: Vec<_> = broker.endpoint.hosts.iter().map(ToString::to_string).collect();
        hosts.sort();
        let virtual_host = broker.endpoint.virtual_host.as_deref().unwrap_or("/").to_owned();
        let (own, read, topics) = (Vec::new(), Vec::new(), Vec::new());
        Self { hosts, virtual_host, own, read, topics }
    }

    /// Adds what a source needs.
    fn add(&mut self, broker: &RabbitSourceConfig) {
        let own = match &broker.queue {
            SourceQueue::Temporary => r"amq\.gen-.*".to_owned(),
            SourceQueue::Durable { name, .. } | SourceQueue::Stream { name, .. } => {
                pattern(&RabbitSourceConfig::tap_queue(name))
            }
            SourceQueue::Pool { name, .. } => pattern(name),
            // A reader of queues of others needs no exchange.
            SourceQueue::SharedStream { stream, .. } => {
                add_once(&mut self.read, pattern(stream));
                return;
            }
            SourceQueue::Shared { queues } => {
                for queue in queues {
                    add_once(&mut self.read, pattern(queue));
                }
                return;
            }
            _ => return,
        };
        for exchange in &broker.exchanges {
            add_once(&mut self.read, pattern(exchange));
            let topics = broker.topics.iter().map(|topic| pattern(topic));
            match self.topics.iter_mut().find(|(name, _)| name == exchange) {
                Some((_, known)) => known.extend(topics),
                None => self.topics.push((exchange.clone(), topics.collect())),
            }
        }
        add_once(&mut self.read, own.clone());
        add_once(&mut self.own, own);
    }

    /// Writes the commands, one a line.
    fn write_commands(&self, user: &str, text: &mut String) {
        let (user, host) = (quoted(user), quoted(&self.virtual_host));
        let (own, read) = (any_of(&self.own), any_of(&self.read));
        // Writing to a `String` succeeds.
        let _ = writeln!(text, "rabbitmqctl set_permissions -p {host} {user} {own} {own} {read}");
        for (exchange, topics) in &self.topics {
            let exchange = quoted(exchange);
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            let topics = quoted(&format!(r"^({})\.", topics.join("|")));
            let _ = writeln!(
                text,
                "rabbitmqctl set_topic_permissions -p {host} {user} {exchange} '^$' {topics}"
            );
        }
    }
}

/// Adds a pattern unless it is there.
fn add_once(patterns: &mut Vec<String>, pattern: String) {
    if !patterns.contains(&pattern) {
        patterns.push(pattern);
    }
}

/// Returns a quoted pattern that matches any of `patterns` as a whole; nothing at all without one.
fn any_of(patterns: &[String]) -> String {
    if patterns.is_empty() {
        "'^$'".to_owned()
    } else {
        quoted(&format!("^({})$", patterns.join("|")))
    }
}

#[cfg(test)]
mod tests {
    use glance_notify::transport::rabbit::{Host, QueueType};

    use super::*;

    /// The patterns match the names only, and nothing else that begins or ends like them.
    #[test]
    fn patterns_match_whole_names() {
        let mut broker = RabbitSourceConfig::default();
        broker.exchanges = vec!["glance".into(), "no.va".into()];
        let tap = commands("audit", &[&broker]);
        let lines: Vec<_> = tap.lines().collect();
        assert_eq!(
            lines,
            [
                r"rabbitmqctl set_permissions -p '/' 'audit' '^(amq\.gen-.*)$' '^(amq\.gen-.*)$' '^(glance|no\.va|amq\.gen-.*)$'",
                r"rabbitmqctl set_topic_permissions -p '/' 'audit' 'glance' '^$' '^(notifications|versioned_notifications)\.'",
                r"rabbitmqctl set_topic_permissions -p '/' 'audit' 'no.va' '^$' '^(notifications|versioned_notifications)\.'",
            ]
        );
        broker.queue = SourceQueue::Shared { queues: vec!["notifications.info".into()] };
        assert_eq!(
            commands("o'neil", &[&broker]),
            "rabbitmqctl set_permissions -p '/' 'o'\\''neil' '^$' '^$' '^(notifications\\.info)$'\n"
        );
    }

    /// Each command replaces the permissions before, so the sources of a virtual host share one.
    #[test]
    fn sources_of_a_virtual_host_share_a_command() {
        let mut tap = RabbitSourceConfig::default();
        tap.topics = vec!["notifications".into()];
        let mut durable = RabbitSourceConfig::default();
        durable.topics = vec!["audit".into()];
        durable.queue =
            SourceQueue::Durable { name: "audit".into(), queue_type: QueueType::default() };
        let mut shared = RabbitSourceConfig::default();
        shared.queue = SourceQueue::Shared { queues: vec!["notifications.info".into()] };
        let text = commands("u", &[&tap, &durable, &shared]);
        let lines: Vec<_> = text.lines().collect();
        let permissions = r"rabbitmqctl set_permissions -p '/' 'u' '^(amq\.gen-.*|glance-notify\.audit)$' '^(amq\.gen-.*|glance-notify\.audit)$' '^(glance|amq\.gen-.*|glance-notify\.audit|notifications\.info)$'";
        let topics = r"rabbitmqctl set_topic_permissions -p '/' 'u' 'glance' '^$' '^(audit|notifications)\.'";
        assert_eq!(lines, [permissions, topics]);
    }

    /// A comment names the place of commands if there are several, whatever the order of a cluster's hosts.
    #[test]
    fn several_places_are_told_apart() {
        let host = |name: &str| Host { name: name.into(), port: 5672 };
        let mut north = RabbitSourceConfig::default();
        north.endpoint.hosts = vec![host("n1"), host("n2")];
        north.endpoint.virtual_host = Some("cloud".into());
        let mut turned = north.clone();
        turned.endpoint.hosts.reverse();
        let mut south = north.clone();
        south.endpoint.hosts = vec![host("s")];
        let mut other = north.clone();
        other.endpoint.virtual_host = Some("a\nb".into());
        let text = commands("u", &[&north, &south, &turned, &other]);
        let comments: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        let expected = ["# n1:5672,n2:5672/cloud", "# s:5672/cloud", r"# n1:5672,n2:5672/a\nb"];
        assert_eq!(comments, expected);
        assert_eq!(text.matches("set_permissions").count(), 3);
        assert!(!commands("u", &[&north, &turned]).contains('#'));
    }
}
