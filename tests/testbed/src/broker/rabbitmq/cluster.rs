//! Several nodes as one broker.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Builder, RabbitMq, Vhost};
use crate::broker::sandbox::Sandbox;
use crate::broker::{free_port, wait_until};

/// Nodes that form a cluster. They end when this is dropped.
#[derive(Debug)]
pub struct Cluster(Vec<RabbitMq>);

impl Cluster {
    /// Starts so many nodes, and waits until each knows all others.
    pub fn start(size: usize) -> Self {
        let sandbox = Arc::new(Sandbox::new());
        let epmd_port = free_port();
        let names: Vec<_> = (1..=size).map(|number| format!("rabbit{number}")).collect();

        let mut config = "cluster_formation.peer_discovery_backend = classic_config\n".to_owned();
        for (number, name) in (1..).zip(&names) {
            let node = format!("cluster_formation.classic_config.nodes.{number}");
            let _ = writeln!(config, "{node} = {name}@localhost");
        }
        let builder = Builder::default().config(&config);
        let place = |name| builder.place(Arc::clone(&sandbox), name, epmd_port);
        let nodes: Vec<_> = names.iter().map(|name| place(name)).collect();

        nodes.iter().for_each(RabbitMq::launch);
        nodes.iter().for_each(RabbitMq::wait_until_ready);
        let cluster = Self(nodes);
        cluster.wait_until_complete();
        cluster
    }

    /// One of the nodes, counted from 0.
    pub fn node(&self, index: usize) -> &RabbitMq {
        &self.0[index]
    }

    /// All nodes.
    pub fn nodes(&self) -> &[RabbitMq] {
        &self.0
    }

    /// Waits until every node sees all of them running.
    pub fn wait_until_complete(&self) {
        let size = self.0.len().to_string();
        for node in &self.0 {
            wait_until("the cluster is complete", || node.eval(RUNNING) == size);
        }
    }

    /// The URL of `/` that names every node, hosts separated by commas.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
        format!("amqp://guest:guest@{}/%2F", hosts.join(","))
    }

    /// The node that leads a quorum queue in `/`, as `witness`, which must run, sees it.
    pub fn leader(&self, queue: &str, witness: usize) -> usize {
        let queue = super::vhost::binary(queue);
        let leader = self.0[witness].eval(&format!(
            "{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, {queue})),
             [{{leader, Leader}}] = rabbit_quorum_queue:info(Queue, [leader]),
             atom_to_binary(Leader)"
        ));
        let leads = |node: &RabbitMq| node.settings.name == leader;
        self.0.iter().position(leads).unwrap_or_else(|| panic!("`{leader}` leads the queue"))
    }
}

impl Vhost<'_> {
    /// The same virtual host, on another node of its cluster.
    #[must_use]
    pub fn on<'c>(&self, node: &'c RabbitMq) -> Vhost<'c> {
        Vhost::new(node, self.name().to_owned())
    }
}

/// How many nodes run RabbitMQ, as one of them sees it.
const RUNNING: &str = "length([Node || Node <- [node() | nodes()], rabbit:is_running(Node)])";
