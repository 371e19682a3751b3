//! The least permissions of a reader of notifications: `--grant`.
//!
//! Read permission on an exchange of OpenStack also lets a user bind `#`, and copy every RPC with its
//! secrets. The topic permission keeps the user to notifications.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use glance_notify::listen::{RabbitSourceConfig, SourceConfig, SourceQueue};
use glance_notify::transport::rabbit::rabbitmqctl::{pattern, quoted};

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Prints the commands for each broker.
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
    let commands: String = brokers.iter().map(|broker| commands(user, broker)).collect();
    write_stdout(|out| out.write_all(commands.as_bytes()))?;
    Ok(ExitStatus::Success)
}

/// Returns the commands for one broker, one a line.
fn commands(user: &str, broker: &RabbitSourceConfig) -> String {
    let virtual_host = broker.endpoint.virtual_host.as_deref().unwrap_or("/");
    let (own, read) = match &broker.queue {
        SourceQueue::Temporary => (Some(r"amq\.gen-.*".to_owned()), Vec::new()),
        SourceQueue::Durable { name, .. } | SourceQueue::Stream { name, .. } => {
            (Some(pattern(&RabbitSourceConfig::tap_queue(name))), Vec::new())
        }
        SourceQueue::Pool { name, .. } => (Some(pattern(name)), Vec::new()),
        SourceQueue::SharedStream { stream, .. } => (None, vec![pattern(stream)]),
        SourceQueue::Shared { queues } => {
            (None, queues.iter().map(|queue| pattern(queue)).collect())
        }
        _ => (None, Vec::new()),
    };
    let exchanges: Vec<_> = broker.exchanges.iter().map(|exchange| pattern(exchange)).collect();
    // A reader of queues of others needs no exchange.
    let bound = if own.is_some() { exchanges } else { Vec::new() };
    let read = any_of(bound.into_iter().chain(read).chain(own.clone()));
    let own = any_of(own);
    let (user, host) = (quoted(user), quoted(virtual_host));
    let mut commands = format!("rabbitmqctl set_permissions -p {host} {user} {own} {own} {read}\n");
    if matches!(broker.queue, SourceQueue::Shared { .. } | SourceQueue::SharedStream { .. }) {
        return commands;
    }
    let topics: BTreeSet<_> = broker.topics.iter().map(|topic| pattern(topic)).collect();
    let topics: Vec<_> = topics.into_iter().collect();
    let topics = quoted(&format!(r"^({})\.", topics.join("|")));
    for exchange in &broker.exchanges {
        let exchange = quoted(exchange);
        // Writing to a `String` succeeds.
        let _ = writeln!(
            commands,
            "rabbitmqctl set_topic_permissions -p {host} {user} {exchange} '^$' {topics}"
        );
    }
    commands
}

/// Returns a quoted pattern that matches any of `patterns` as a whole; nothing at all without one.
fn any_of(patterns: impl IntoIterator<Item = String>) -> String {
    let patterns: Vec<_> = patterns.into_iter().collect();
    if patterns.is_empty() {
        "'^$'".to_owned()
    } else {
        quoted(&format!("^({})$", patterns.join("|")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The patterns match the names only, and nothing else that begins or ends like them.
    #[test]
    fn patterns_match_whole_names() {
        let mut broker = RabbitSourceConfig::default();
        broker.exchanges = vec!["glance".into(), "no.va".into()];
        let tap = commands("audit", &broker);
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
            commands("o'neil", &broker),
            "rabbitmqctl set_permissions -p '/' 'o'\\''neil' '^$' '^$' '^(notifications\\.info)$'\n"
        );
    }
}
