//! One run of a node: a process, from its start to its end.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use super::console::{self, Console};
use super::settings::Settings;
use crate::broker::sandbox::Sandbox;
use crate::broker::wait_until;

#[derive(Debug)]
pub(super) struct Node {
    process: Mutex<Child>,
    id: Pid,
    console: Console,
    port: u16,
}

impl Node {
    pub(super) fn launch(sandbox: &Sandbox, settings: &Settings) -> Self {
        let errors = File::options()
            .create(true)
            .append(true)
            .open(settings.directory.join("standard-error.log"))
            .expect("cannot write to the sandbox");
        let mut process = settings
            .command(sandbox, "rabbitmq-server")
            // With input allowed, the script becomes the node instead of waiting for it.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .args(["-noshell", "-eval", console::SOURCE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("cannot start RabbitMQ");
        let console = Console::new(&mut process);
        let id = Pid::from_child(&process);
        Self { process: Mutex::new(process), id, console, port: settings.port }
    }

    /// Waits until the node serves clients.
    ///
    /// # Errors
    ///
    /// Why it never will.
    pub(super) fn wait_until_ready(&self) -> Result<(), String> {
        // It answers at all only when it has started.
        self.console.evaluate("rabbit:await_startup()")?;
        wait_until("the node listens", || listens(self.port));
        Ok(())
    }

    pub(super) fn evaluate(&self, expression: &str) -> Result<String, String> {
        self.console.evaluate(expression)
    }

    pub(super) fn terminate(&self) {
        self.thaw();
        self.signal(Signal::TERM);
        wait_until("the node stops", || self.has_ended());
    }

    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
        wait_until("the node ends", || self.has_ended());
    }

    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        wait_until("the node stands still", || self.state() == Some('T'));
    }

    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// The letter that the system has for it: `T` when it is stopped.
    fn state(&self) -> Option<char> {
        let status = fs::read_to_string(format!("/proc/{}/stat", self.id)).ok()?;
        // The name before it may hold anything.
        status.rsplit_once(") ")?.1.chars().next()
    }

    fn has_ended(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.try_wait().expect("cannot wait for the node").is_some()
    }

    /// Its id is its own for as long as nobody has waited for it.
    fn signal(&self, signal: Signal) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.try_wait().expect("cannot wait for the node").is_none() {
            kill_process(self.id, signal).expect("cannot signal the node");
        }
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
