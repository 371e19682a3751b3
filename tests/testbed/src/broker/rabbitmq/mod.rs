//! Private RabbitMQ nodes.
//!
//! ```no_run
//! use notify_testbed::broker::rabbitmq::RabbitMq;
//!
//! let broker = RabbitMq::start();
//! let vhost = broker.vhost();
//! // … publish to vhost.url() …
//! broker.kill();
//! broker.restart();
//! let messages = vhost.drain("notifications.info");
//! ```

mod builder;
mod cluster;
mod console;
mod node;
mod settings;
mod vhost;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub use builder::Builder;
pub use cluster::Cluster;
use node::Node;
use settings::Settings;
pub use vhost::{QueueInfo, Vhost};

pub use super::amqp::Received;
use super::sandbox::Sandbox;
use super::wait_until;

/// A node of its own, on 127.0.0.1. It ends when this is dropped.
///
/// User and password are `guest`.
#[derive(Debug)]
pub struct RabbitMq {
    node: Mutex<Option<Arc<Node>>>,
    settings: Settings,
    vhosts: AtomicU32,
    // Last: it ends what the others left.
    sandbox: Arc<Sandbox>,
}

impl RabbitMq {
    /// A node with default settings. Takes some seconds.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A node with settings of the test's own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The node that the tests of this process share; each takes a [`vhost`](Self::vhost).
    ///
    /// Not for a test that stops, freezes or alarms it.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }

    /// The port for plain AMQP.
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// The port for AMQP over TLS, if the [builder](Builder::tls) was asked for one.
    pub fn tls_port(&self) -> u16 {
        self.settings.tls_port.expect("the node was built without TLS")
    }

    /// The URL of the virtual host `/`, with user and password.
    pub fn url(&self) -> String {
        self.root().url()
    }

    /// The virtual host that is there from the start, `/`.
    pub fn root(&self) -> Vhost<'_> {
        Vhost::new(self, "/".to_owned())
    }

    /// A new virtual host that is nobody else's, with all permissions for `guest`.
    pub fn vhost(&self) -> Vhost<'_> {
        let name = format!("vhost-{}", self.vhosts.fetch_add(1, Ordering::Relaxed));
        self.eval(&format!(r#"rabbit_vhost:add(<<"{name}">>, <<"test">>)"#));
        let vhost = Vhost::new(self, name);
        vhost.permit("guest", [".*", ".*", ".*"]);
        vhost
    }

    /// Adds a user, who may do nothing yet.
    pub fn add_user(&self, name: &str, password: &str) {
        let (name, password) = (vhost::binary(name), vhost::binary(password));
        let add = "rabbit_auth_backend_internal:add_user";
        self.eval(&format!("ok = {add}({name}, {password}, <<\"test\">>)"));
    }

    /// Ends the node as an operator would: connections are closed with a reason, data is written.
    pub fn stop(&self) {
        if let Some(node) = self.take() {
            node.terminate();
        }
    }

    /// Ends the node as a loss of power would: `kill -9`.
    pub fn kill(&self) {
        if let Some(node) = self.take() {
            node.kill();
        }
    }

    /// Starts the node again with what it had on disk; first stops it orderly if it still runs.
    pub fn restart(&self) {
        self.stop();
        self.launch();
        self.wait_until_ready();
    }

    /// Stops RabbitMQ and leaves its process running, as `rabbitmqctl stop_app`: connections are closed
    /// with a reason.
    pub fn stop_application(&self) {
        self.eval("ok = rabbit:stop()");
    }

    /// Starts what [`stop_application`](Self::stop_application) stopped, and waits until it serves
    /// clients.
    pub fn start_application(&self) {
        self.eval("ok = rabbit:start()");
        self.wait_until_ready();
    }

    /// Stops the node's process in its tracks (SIGSTOP): its connections stay open and say nothing.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Makes the node run out of memory by its own reckoning. It blocks connections that publish.
    pub fn raise_alarm(&self) {
        self.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.0)");
        wait_until("the alarm is raised", || self.eval("rabbit_alarm:get_alarms()") != "[]");
    }

    /// Ends what [`raise_alarm`](Self::raise_alarm) began.
    pub fn clear_alarm(&self) {
        self.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.4)");
        wait_until("the alarm is cleared", || self.eval("rabbit_alarm:get_alarms()") == "[]");
    }

    /// Evaluates an Erlang expression in the node. A binary is returned as it is, any other value as
    /// Erlang writes it.
    ///
    /// # Panics
    ///
    /// When it raises an exception, or the node does not run.
    pub fn eval(&self, expression: &str) -> String {
        match self.running().evaluate(expression) {
            Ok(value) => value,
            Err(reason) => panic!("{reason}, evaluating {expression}"),
        }
    }

    /// What `rabbitmqctl` prints. It takes a second; [`eval`](Self::eval) does not.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self
            .settings
            .command(&self.sandbox, "rabbitmqctl")
            .args(["--node", &self.settings.name, "--quiet"])
            .args(arguments)
            .output()
            .expect("cannot run rabbitmqctl");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {printed}{said}");
        printed
    }

    /// The end of the node's log.
    pub fn log(&self) -> String {
        let log = fs::read(self.settings.log()).unwrap_or_default();
        let end = log.len().saturating_sub(LOG_SHOWN);
        String::from_utf8_lossy(&log[end..]).into_owned()
    }

    /// Starts the process, without waiting.
    fn launch(&self) {
        let node = Arc::new(Node::launch(&self.sandbox, &self.settings));
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }

    fn wait_until_ready(&self) {
        if let Err(reason) = self.running().wait_until_ready() {
            panic!("RabbitMQ does not start: {reason}\n{}", self.log());
        }
    }

    fn running(&self) -> Arc<Node> {
        let node = self.node.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(node.as_ref().expect("the node does not run"))
    }

    fn take(&self) -> Option<Arc<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Bytes of a log that are shown when something fails.
const LOG_SHOWN: usize = 8 * 1024;

static SHARED: OnceLock<RabbitMq> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::sandbox::processes;

    #[test]
    fn nothing_is_left_of_a_node_not_even_a_frozen_one() {
        let broker = RabbitMq::start();
        let directory = broker.sandbox.path().to_owned();
        // The node, what it starts itself, and the daemon that all nodes of a machine share.
        let names: Vec<_> = processes(&directory).into_iter().filter_map(name).collect();
        assert!(names.iter().any(|name| name == "beam.smp"), "{names:?}");
        assert!(names.iter().any(|name| name == "epmd"), "{names:?}");

        broker.freeze();
        drop(broker);
        assert_eq!(processes(&directory), []);
        assert!(!directory.exists());
    }

    fn name(process: rustix::process::Pid) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(name.trim_end().to_owned())
    }
}
