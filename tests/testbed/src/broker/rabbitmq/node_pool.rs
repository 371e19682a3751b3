//! Nodes that tests use one after the other.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use super::broker::RabbitMq;

/// Nodes of one kind, for tests that harm theirs: no two tests use a node at the same time.
///
/// Starting a node takes longer than most tests, so the next test gets the node of an earlier one. Nodes end
/// with the process.
///
/// ```no_run
/// use notify_testbed::broker::rabbitmq::{NodePool, RabbitMq};
///
/// static NODES: NodePool = NodePool::new(RabbitMq::start);
///
/// let node = NODES.take();
/// node.kill();
/// node.restart();
/// ```
#[derive(Debug)]
pub struct NodePool {
    start: fn() -> RabbitMq,
    idle: Mutex<Vec<&'static RabbitMq>>,
}

impl NodePool {
    /// Creates a pool whose nodes `start` starts.
    pub const fn new(start: fn() -> RabbitMq) -> Self {
        Self { start, idle: Mutex::new(Vec::new()) }
    }

    /// Takes an idle node, or starts one.
    pub fn take(&'static self) -> PooledNode {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let node = idle.unwrap_or_else(|| Box::leak(Box::new((self.start)())));
        PooledNode { node, pool: self }
    }
}

/// A node of a [`NodePool`]. Dropping it gives the node back, unless the test failed and may have harmed it.
#[derive(Debug)]
pub struct PooledNode {
    node: &'static RabbitMq,
    pool: &'static NodePool,
}

impl Deref for PooledNode {
    type Target = &'static RabbitMq;

    fn deref(&self) -> &&'static RabbitMq {
        &self.node
    }
}

impl Drop for PooledNode {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.node);
        }
    }
}
