//! The findings about the cluster: the API itself, the clock, nodes with their alarms, and connections.

use glance_notify::transport::{Finding, printable};
use glance_notify::{Error, ErrorKind};
use glance_notify_cli::units::short_bytes;

use super::api_answers::{ConnectionAnswer, NodeAnswer};
use super::broker_snapshot::{BrokerSnapshot, MOST_CONNECTIONS};
use super::connected_programs::ConnectedPrograms;
use crate::doctor::diagnosis::LARGE_DIFFERENCE;

/// Returns the findings about the API, the clock, the nodes and the connections.
pub(crate) fn cluster_findings(snapshot: &BrokerSnapshot, virtual_host: &str) -> Vec<Finding> {
    let mut findings = vec![api_finding(snapshot)];
    findings.extend(clock_finding(snapshot));
    if let (Some(nodes), Some(connections)) = (&snapshot.nodes, &snapshot.connections) {
        findings.extend(node_findings(nodes));
        // Connections that are not examined may belong to the virtual host.
        if !(connections.is_empty() && snapshot.omits_connections) {
            findings.push(connection_finding(connections, virtual_host));
        }
        if snapshot.omits_connections {
            let text = format!(
                "the broker has more than {MOST_CONNECTIONS} connections, and the rest is not examined"
            );
            findings.push(Finding::warning("connections", text));
        }
    } else {
        let user = printable(&snapshot.user, 255);
        let text = format!(
            "the user `{user}` sees no alarms and no connections: `rabbitmqctl set_user_tags '{user}' \
             monitoring`, or name another user in `management_url`"
        );
        findings.push(Finding::warning("nodes", text));
    }
    if snapshot.omitted_queues > 0 {
        let text = format!("{} more queues are bound, and not examined", snapshot.omitted_queues);
        findings.push(Finding::warning("queues", text));
    }
    findings
}

/// Returns the finding about the API, which warns about a password in plain text.
fn api_finding(snapshot: &BrokerSnapshot) -> Finding {
    let BrokerSnapshot { overview, peer, user, .. } = snapshot;
    let text = format!(
        "RabbitMQ {}, cluster `{}`, asked at {peer} as user `{}`",
        printable(&overview.rabbitmq_version, 64),
        printable(&overview.cluster_name, 255),
        printable(user, 255)
    );
    if peer.exposes_plain_text() {
        let text = format!("{text}: the password crosses the network in plain text, use https://");
        return Finding::warning("management", text);
    }
    Finding::good("management", text)
}

/// Returns the finding about the clock of the broker's host, if the answer had the time.
fn clock_finding(snapshot: &BrokerSnapshot) -> Option<Finding> {
    let difference = snapshot.clock_difference?;
    let seconds = difference.abs().whole_seconds();
    Some(if difference.abs() >= LARGE_DIFFERENCE {
        let direction = if difference.is_negative() { "behind" } else { "ahead of" };
        let text =
            format!("the broker's clock is {seconds} s {direction} this host's: synchronize them");
        Finding::warning("clock", text)
    } else {
        let limit = LARGE_DIFFERENCE.whole_seconds();
        Finding::good("clock", format!("the broker's clock differs by less than {limit} s"))
    })
}

/// Returns a finding for each problem of a node, or one about all of them.
fn node_findings(nodes: &[NodeAnswer]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in nodes {
        let subject = format!("node `{}`", printable(&node.name, 255));
        let bytes = |number: u64| short_bytes(number.into());
        let mut alarm = |what: String| {
            let text = format!(
                "{what}: the broker makes publishers wait, so that no notification arrives"
            );
            findings.push(Finding::bad(subject.clone(), Error::new(ErrorKind::Full, text)));
        };
        if node.mem_alarm {
            let (used, limit) = (bytes(node.mem_used), bytes(node.mem_limit));
            alarm(format!("memory alarm, {used} of {limit} are in use"));
        }
        if node.disk_free_alarm {
            let (free, limit) = (bytes(node.disk_free), bytes(node.disk_free_limit));
            alarm(format!(
                "disk alarm, {free} are free of the {limit} that `disk_free_limit` demands"
            ));
        }
        if !node.running {
            let text = "does not run: queues that live only there are out of reach";
            findings.push(Finding::warning(subject.clone(), text));
        }
        if !node.partitions.is_empty() {
            let text = format!(
                "a network partition separates it from {}: queues on the other side are out of reach; \
                 restart the nodes of one side",
                printable(&node.partitions.join(", "), 255)
            );
            findings.push(Finding::warning(subject, text));
        }
    }
    if findings.is_empty() {
        let text =
            format!("{} without an alarm", crate::terminal::counted(nodes.len() as u64, "node"));
        findings.push(Finding::good("nodes", text));
    }
    findings
}

/// Returns the finding about the connections to the virtual host.
fn connection_finding(connections: &[ConnectionAnswer], virtual_host: &str) -> Finding {
    let subject = "connections";
    let virtual_host = printable(virtual_host, 255);
    let all = ConnectedPrograms::of_connections(connections.iter());
    let blocked = connections.iter().filter(|connection| {
        // RabbitMQ calls a connection "blocking" until it publishes, and then "blocked".
        matches!(connection.state.as_str(), "blocked" | "blocking")
    });
    let count = blocked.clone().count();
    if count > 0 {
        let programs = ConnectedPrograms::of_connections(blocked);
        let text = format!(
            "{count} of {} are blocked: {programs}: what they publish waits until the alarm ends",
            connections.len()
        );
        return Finding::warning(subject, text);
    }
    if connections.is_empty() {
        let text = format!(
            "no program is connected to the virtual host `{virtual_host}`: compare it with the \
             `transport_url` of the services"
        );
        return Finding::warning(subject, text);
    }
    Finding::good(subject, format!("{} to `{virtual_host}`: {all}", connections.len()))
}

#[cfg(test)]
mod tests {
    use super::super::finding_text::text;
    use super::*;

    /// Each alarm is bad and names the numbers; a node that is away and a partition are warnings.
    #[test]
    fn problems_of_nodes_are_named() {
        let good = NodeAnswer { name: "rabbit@a".into(), running: true, ..Default::default() };
        assert_eq!(text(&node_findings(&[good])[0]), "good nodes: 1 node without an alarm");
        let node = NodeAnswer {
            name: "rabbit@b".into(),
            running: false,
            mem_alarm: true,
            mem_used: 3 << 30,
            mem_limit: 2 << 30,
            disk_free_alarm: true,
            disk_free: 1 << 20,
            disk_free_limit: 50 << 20,
            partitions: vec!["rabbit@a".into()],
        };
        let findings: Vec<_> = node_findings(&[node]).iter().map(text).collect();
        let starts = [
            "bad node `rabbit@b`: memory alarm, 3.0 GiB of 2.0 GiB are in use: ",
            "bad node `rabbit@b`: disk alarm, 1.0 MiB are free of the 50.0 MiB that ",
            "warning node `rabbit@b`: does not run: ",
            "warning node `rabbit@b`: a network partition separates it from rabbit@a: ",
        ];
        assert_eq!(findings.len(), starts.len());
        for (finding, start) in findings.iter().zip(starts) {
            assert!(finding.starts_with(start), "{finding}");
        }
    }

    /// Blocked connections are named by their programs, and an empty virtual host is a warning.
    #[test]
    fn blocked_connections_are_named() {
        let connection = |name: &str, state: &str| ConnectionAnswer {
            user_provided_name: name.into(),
            state: state.into(),
            ..Default::default()
        };
        let found = text(&connection_finding(&[], "v"));
        assert!(
            found.starts_with(
                "warning connections: no program is connected to the virtual host `v`"
            )
        );
        let connections =
            [connection("glance-api:1:x", "blocked"), connection("nova-api:1:x", "running")];
        let found = text(&connection_finding(&connections, "v"));
        assert!(
            found.starts_with("warning connections: 1 of 2 are blocked: `glance-api`: "),
            "{found}"
        );
        let found = text(&connection_finding(&connections[1..], "v"));
        assert_eq!(found, "good connections: 1 to `v`: `nova-api`");
    }
}
