//! A cluster of private nodes.

use std::fmt::Write as _;
use std::sync::Arc;

use super::broker::RabbitMq;
use super::builder::RabbitMqBuilder;
use super::erlang::binary_literal;
use crate::ports::free_port;
use crate::sandbox::ProcessSandbox;
use crate::wait::wait_until;

/// Nodes that form a cluster. Dropping it ends all of them.
#[derive(Debug)]
pub struct Cluster(Vec<RabbitMq>);

impl Cluster {
    /// Starts `size` nodes and waits until each of them knows all others.
    pub fn start(size: usize) -> Self {
        let sandbox = Arc::new(ProcessSandbox::new());
        let epmd_port = free_port();
        let names: Vec<_> = (1..=size).map(|number| format!("rabbit{number}")).collect();

        let mut config = "cluster_formation.peer_discovery_backend = classic_config\n".to_owned();
        for (number, name) in (1..).zip(&names) {
            let node = format!("cluster_formation.classic_config.nodes.{number}");
            let _ = writeln!(config, "{node} = {name}@localhost");
        }
        let builder = RabbitMqBuilder::default().config(&config);
        let prepare = |name| builder.prepare(Arc::clone(&sandbox), name, epmd_port);
        let nodes: Vec<_> = names.iter().map(|name| prepare(name)).collect();

        nodes.iter().for_each(RabbitMq::launch);
        nodes.iter().for_each(RabbitMq::wait_until_ready);
        let cluster = Self(nodes);
        cluster.wait_until_complete();
        cluster
    }

    /// Returns one of the nodes, counted from 0.
    pub fn node(&self, index: usize) -> &RabbitMq {
        &self.0[index]
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> &[RabbitMq] {
        &self.0
    }

    /// Waits until every node sees all nodes running.
    pub fn wait_until_complete(&self) {
        let size = self.0.len().to_string();
        for node in &self.0 {
            wait_until("the cluster is complete", || node.eval(RUNNING_NODES) == size);
        }
    }

    /// Returns the URL of the virtual host `/` with the addresses of all nodes, separated by
    /// commas.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
        format!("amqp://guest:guest@{}/%2F", hosts.join(","))
    }

    /// Returns the index of the node that leads a quorum queue in the virtual host `/`. Asks the
    /// node `witness`, which must run.
    pub fn leader(&self, queue: &str, witness: usize) -> usize {
        let queue = binary_literal(queue);
        let leader = self.0[witness].eval(&format!(
            "{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, {queue})),
             [{{leader, Leader}}] = rabbit_quorum_queue:info(Queue, [leader]),
             atom_to_binary(Leader)"
        ));
        let leads = |node: &RabbitMq| node.settings.name == leader;
        let position = self.0.iter().position(leads);
        position.unwrap_or_else(|| panic!("the leader `{leader}` is not a node of this cluster"))
    }
}

/// An Erlang expression for the number of nodes that run RabbitMQ, as the evaluating node sees it.
const RUNNING_NODES: &str = "length([Node || Node <- [node() | nodes()], rabbit:is_running(Node)])";
