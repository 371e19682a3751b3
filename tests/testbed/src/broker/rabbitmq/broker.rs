//! A private RabbitMQ node.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use super::erlang::binary_literal;
use super::node_process::NodeProcess;
use super::node_settings::NodeSettings;
use crate::sandbox::ProcessSandbox;
use crate::wait::wait_until;

/// A private RabbitMQ node on 127.0.0.1, with the user `guest` and the password `guest`. Dropping
/// it ends its processes and removes its files.
#[derive(Debug)]
pub struct RabbitMq {
    /// The running process, if there is one.
    process: Mutex<Option<Arc<NodeProcess>>>,
    pub(super) settings: NodeSettings,
    /// The number of virtual hosts that tests have created.
    pub(super) vhosts: AtomicU32,
    // The last field: dropping it ends the processes that the others left behind.
    sandbox: Arc<ProcessSandbox>,
}

impl RabbitMq {
    /// Creates a node that does not run yet.
    pub(super) fn new(settings: NodeSettings, sandbox: Arc<ProcessSandbox>) -> Self {
        Self { process: Mutex::default(), settings, vhosts: AtomicU32::new(0), sandbox }
    }

    /// Returns the port for plain AMQP.
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// Returns the port for AMQP over TLS.
    ///
    /// # Panics
    ///
    /// Panics unless [`RabbitMqBuilder::tls`](super::RabbitMqBuilder::tls) enabled TLS.
    pub fn tls_port(&self) -> u16 {
        self.settings.tls_port.expect("the builder enabled TLS")
    }

    /// Returns the URL of the management API, without a user.
    ///
    /// # Panics
    ///
    /// Panics unless [`RabbitMqBuilder::management`](super::RabbitMqBuilder::management) enabled it.
    pub fn management_url(&self) -> String {
        let port = self.settings.management_port.expect("the builder enabled the management API");
        format!("http://127.0.0.1:{port}")
    }

    /// Adds a user without any permission.
    pub fn add_user(&self, name: &str, password: &str) {
        let (name, password) = (binary_literal(name), binary_literal(password));
        let add = "rabbit_auth_backend_internal:add_user";
        self.eval(&format!("ok = {add}({name}, {password}, <<\"test\">>)"));
    }

    /// Stops the node as an operator does: it closes connections with a reason and writes its data.
    pub fn stop(&self) {
        if let Some(process) = self.take_process() {
            process.terminate();
        }
    }

    /// Kills the node with `kill -9`, as a power failure would.
    pub fn kill(&self) {
        if let Some(process) = self.take_process() {
            process.kill();
        }
    }

    /// Stops the node if it runs, starts it again with its files, and waits until it serves
    /// clients.
    pub fn restart(&self) {
        self.stop();
        self.launch();
        self.wait_until_ready();
    }

    /// Stops RabbitMQ but not its process, as `rabbitmqctl stop_app` does. The node closes
    /// connections with a reason.
    pub fn stop_application(&self) {
        self.eval("ok = rabbit:stop()");
    }

    /// Starts RabbitMQ again after [`stop_application`](Self::stop_application), and waits until it
    /// serves clients.
    pub fn start_application(&self) {
        self.eval("ok = rabbit:start()");
        self.wait_until_ready();
    }

    /// Freezes the process with SIGSTOP. Its connections stay open and silent.
    pub fn freeze(&self) {
        self.running_process().freeze();
    }

    /// Thaws a frozen process with SIGCONT.
    pub fn unfreeze(&self) {
        self.running_process().unfreeze();
    }

    /// Raises the memory alarm by setting the limit to 0. The node blocks connections that publish.
    pub fn raise_alarm(&self) {
        self.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.0)");
        wait_until("the node raises the alarm", || self.eval("rabbit_alarm:get_alarms()") != "[]");
    }

    /// Clears the alarm of [`raise_alarm`](Self::raise_alarm).
    pub fn clear_alarm(&self) {
        self.eval("vm_memory_monitor:set_vm_memory_high_watermark(0.4)");
        wait_until("the node clears the alarm", || self.eval("rabbit_alarm:get_alarms()") == "[]");
    }

    /// Evaluates an Erlang expression in the node. Returns a binary as it is, and any other value
    /// in Erlang's notation.
    ///
    /// # Panics
    ///
    /// Panics if the expression raises an exception or the node does not run.
    pub fn eval(&self, expression: &str) -> String {
        match self.running_process().evaluate(expression) {
            Ok(value) => value,
            Err(reason) => panic!("cannot evaluate {expression}: {reason}"),
        }
    }

    /// Runs `rabbitmqctl` and returns its output. This takes about a second; [`eval`](Self::eval)
    /// is faster.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self
            .settings
            .command(&self.sandbox, "rabbitmqctl")
            .args(["--node", &self.settings.name, "--quiet"])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("cannot run rabbitmqctl: {error}"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {arguments:?} failed: {printed}{errors}");
        printed
    }

    /// Returns the last 8 KiB of the node's log.
    pub fn log(&self) -> String {
        end_of(&self.settings.log())
    }

    /// Starts the process, and does not wait for RabbitMQ.
    pub(super) fn launch(&self) {
        let process = Arc::new(NodeProcess::launch(&self.sandbox, &self.settings));
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// Waits until the node serves clients.
    pub(super) fn wait_until_ready(&self) {
        if let Err(reason) = self.running_process().wait_until_ready() {
            // Erlang's own errors, for example of its port mapper, come before there is a log.
            let errors = end_of(&self.settings.standard_error());
            panic!("RabbitMQ does not start: {reason}\n{errors}\n{}", self.log());
        }
    }

    fn running_process(&self) -> Arc<NodeProcess> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(process.as_ref().expect("the node runs"))
    }

    fn take_process(&self) -> Option<Arc<NodeProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the last 8 KiB of a file.
fn end_of(file: &Path) -> String {
    let log = fs::read(file).unwrap_or_default();
    let end = log.len().saturating_sub(LOG_TAIL);
    String::from_utf8_lossy(&log[end..]).into_owned()
}

/// The bytes of a log that a failure shows.
const LOG_TAIL: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::processes_in;

    /// Dropping a node ends its helpers and the shared Erlang daemon too, even if the node is
    /// frozen.
    #[test]
    fn dropping_a_frozen_node_ends_all_its_processes() {
        let broker = RabbitMq::start();
        let directory = broker.sandbox.path().to_owned();
        // The node itself, and the daemon that all nodes of a machine share.
        let names: Vec<_> = processes_in(&directory).into_iter().filter_map(name).collect();
        assert!(names.iter().any(|name| name == "beam.smp"), "{names:?}");
        assert!(names.iter().any(|name| name == "epmd"), "{names:?}");

        broker.freeze();
        drop(broker);
        assert_eq!(processes_in(&directory), []);
        assert!(!directory.exists());
    }

    fn name(process: rustix::process::Pid) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(name.trim_end().to_owned())
    }
}
