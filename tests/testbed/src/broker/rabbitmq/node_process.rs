//! The process of a node, from its start to its end.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use super::erlang_console::{self, ErlangConsole};
use super::node_settings::NodeSettings;
use crate::sandbox::ProcessSandbox;
use crate::wait::wait_until;

/// One run of a node.
#[derive(Debug)]
pub(super) struct NodeProcess {
    process: Mutex<Child>,
    id: Pid,
    console: ErlangConsole,
    port: u16,
}

impl NodeProcess {
    /// Starts the process, and does not wait for RabbitMQ.
    pub(super) fn launch(sandbox: &ProcessSandbox, settings: &NodeSettings) -> Self {
        start_port_mapper(sandbox, settings);
        let errors = File::options()
            .create(true)
            .append(true)
            .open(settings.standard_error())
            .expect("the sandbox is writable");
        let mut process = settings
            .command(sandbox, "rabbitmq-server")
            // With this variable, the start script becomes the node instead of waiting for it.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .args(["-noshell", "-eval", erlang_console::SOURCE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start RabbitMQ: {error}"));
        let console = ErlangConsole::new(&mut process);
        let id = Pid::from_child(&process);
        Self { process: Mutex::new(process), id, console, port: settings.port }
    }

    /// Waits until the node serves clients.
    ///
    /// # Errors
    ///
    /// The reason why the start failed.
    pub(super) fn wait_until_ready(&self) -> Result<(), String> {
        // The console answers after the start only.
        self.console.evaluate("rabbit:await_startup()")?;
        wait_until("the node listens", || listens(self.port));
        Ok(())
    }

    /// Evaluates an Erlang expression, see [`ErlangConsole::evaluate`].
    pub(super) fn evaluate(&self, expression: &str) -> Result<String, String> {
        self.console.evaluate(expression)
    }

    /// Ends the process with SIGTERM.
    pub(super) fn terminate(&self) {
        self.unfreeze();
        self.signal(Signal::TERM);
        wait_until("the node stops", || self.has_exited());
    }

    /// Ends the process with SIGKILL.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
        wait_until("the node exits", || self.has_exited());
    }

    /// Freezes the process with SIGSTOP.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        wait_until("the node is frozen", || self.state() == Some('T'));
    }

    /// Thaws the process with SIGCONT.
    pub(super) fn unfreeze(&self) {
        self.signal(Signal::CONT);
    }

    /// Returns the letter of the process state in `/proc`: `T` if the process is stopped.
    fn state(&self) -> Option<char> {
        let status = fs::read_to_string(format!("/proc/{}/stat", self.id)).ok()?;
        // The process name before the state may hold any character.
        status.rsplit_once(") ")?.1.chars().next()
    }

    fn has_exited(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.try_wait().expect("the node is a child of this process").is_some()
    }

    /// Sends a signal, unless the process has exited. The system may give the id of an exited
    /// process to another one.
    fn signal(&self, signal: Signal) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.try_wait().expect("the node is a child of this process").is_none() {
            kill_process(self.id, signal).expect("the node's process exists");
        }
    }
}

/// Starts Erlang's port mapper, unless it runs already, and waits until it listens.
///
/// A node starts it too, but does not wait until it listens.
fn start_port_mapper(sandbox: &ProcessSandbox, settings: &NodeSettings) {
    let port = settings.epmd_port;
    if listens(port) {
        return;
    }
    let mut command = sandbox.command("epmd");
    command.args(["-daemon", "-address", "127.0.0.1", "-port", &port.to_string()]);
    let status = command.status().unwrap_or_else(|error| panic!("cannot start epmd: {error}"));
    assert!(status.success(), "epmd: {status}");
    wait_until("epmd listens", || listens(port));
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
