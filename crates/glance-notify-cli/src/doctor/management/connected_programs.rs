//! The programs behind connections and consumers.

use std::collections::BTreeMap;

use glance_notify::transport::printable;

use super::api_answers::{ConnectionAnswer, ConsumerAnswer};

/// Programs, and how many connections or consumers each has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectedPrograms(BTreeMap<String, u64>);

impl ConnectedPrograms {
    /// Returns the programs of the consumers of a queue.
    ///
    /// `connections` has the names that the clients gave. A consumer without such a name is shown by its user
    /// and its host.
    pub(super) fn of_consumers(
        consumers: &[ConsumerAnswer],
        connections: &[ConnectionAnswer],
    ) -> Self {
        let mut programs = Self::default();
        for ConsumerAnswer { channel_details: channel } in consumers {
            let connection =
                connections.iter().find(|connection| connection.name == channel.connection_name);
            programs.add(connection.and_then(program_name).unwrap_or_else(|| {
                let (user, host) =
                    (printable(&channel.user, 64), printable(&channel.peer_host, 64));
                format!("user `{user}` at {host}")
            }));
        }
        programs
    }

    /// Returns the programs of connections.
    pub(super) fn of_connections<'a>(
        connections: impl Iterator<Item = &'a ConnectionAnswer>,
    ) -> Self {
        let mut programs = Self::default();
        for connection in connections {
            let user = || format!("user `{}`", printable(&connection.user, 64));
            programs.add(program_name(connection).unwrap_or_else(user));
        }
        programs
    }

    /// Returns the number of different programs.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Counts a program.
    fn add(&mut self, program: String) {
        *self.0.entry(program).or_default() += 1;
    }
}

/// Writes the programs with their numbers: "`glance-api` 4, `nova-compute` 12".
impl std::fmt::Display for ConnectedPrograms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (program, count)) in self.0.iter().take(MOST_PROGRAMS).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{program}")?;
            if *count > 1 {
                write!(f, " {count}")?;
            }
        }
        match self.0.len().saturating_sub(MOST_PROGRAMS) {
            0 => Ok(()),
            more => write!(f, " and {more} more programs"),
        }
    }
}

/// Returns the program in the name that a client gave: `ceilometer-agent-notification` in
/// `ceilometer-agent-notification:7:…`, as oslo.messaging and this project write it.
fn program_name(connection: &ConnectionAnswer) -> Option<String> {
    let program = connection.user_provided_name.split(':').next().unwrap_or_default();
    (!program.is_empty()).then(|| format!("`{}`", printable(program, 64)))
}

/// The most programs that a text shows.
const MOST_PROGRAMS: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::api_answers::ChannelAnswer;
    use super::*;

    /// The name that a client gave stands for its program, and without one its user and host do.
    #[test]
    fn consumers_are_named_by_their_programs() {
        let named = |name: &str, given: &str| ConnectionAnswer {
            name: name.into(),
            user_provided_name: given.into(),
            ..Default::default()
        };
        let connections =
            [named("c1", "ceilometer-agent:7:abc"), named("c2", "ceilometer-agent:8:d")];
        let consumer = |name: &str| ConsumerAnswer {
            channel_details: ChannelAnswer {
                connection_name: name.into(),
                peer_host: "192.0.2.7".into(),
                user: "logs\u{1b}".into(),
            },
        };
        let consumers = ["c1", "c2", "c3"].map(consumer);
        let programs = ConnectedPrograms::of_consumers(&consumers, &connections);
        assert_eq!(programs.count(), 2);
        let expected = r"`ceilometer-agent` 2, user `logs\u{1b}` at 192.0.2.7";
        assert_eq!(programs.to_string(), expected);
    }
}
