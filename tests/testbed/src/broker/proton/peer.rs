//! An AMQP 1.0 peer that accepts messages, and misbehaves on demand as brokers do.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::message::ProtonMessage;
use super::programs;
use crate::broker::python_process::PythonProcess;
use crate::ports::free_port;

/// A private AMQP 1.0 peer on 127.0.0.1, with queues and topics. Dropping it ends its process.
///
/// The peer keeps every accepted message through [`kill`](Self::kill) and
/// [`restart`](Self::restart). It asks for no credentials (SASL ANONYMOUS). It releases a message
/// that no binding matches.
#[derive(Debug)]
pub struct ProtonPeer {
    program: Mutex<Option<PythonProcess>>,
    settings: ProtonPeerBuilder,
    port: u16,
    /// The file with the accepted messages.
    journal: NamedTempFile,
}

/// The settings of a peer before its start.
#[derive(Clone, Debug)]
pub struct ProtonPeerBuilder {
    queues: Vec<String>,
    bindings: Vec<[String; 3]>,
    product: Option<(String, String)>,
    create: bool,
    transient: Vec<String>,
    unattachable: Vec<String>,
    credit: u32,
}

/// A fault that the peer inflicts on a delivery instead of accepting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerFault {
    /// The peer settles with the outcome `rejected`.
    Reject,
    /// The peer settles with the outcome `released`.
    Release,
    /// The peer settles with the outcome `modified`.
    Modify,
    /// The peer withholds the outcome until [`ProtonPeer::settle_withheld`].
    Hold,
    /// The peer closes the link with an error.
    Detach,
    /// The peer detaches the link without an error, and does not close it.
    Suspend,
    /// The peer ends the session with an error.
    End,
    /// The peer closes the connection with an error.
    Close,
    /// The peer cuts the TCP connection.
    Drop,
    /// The peer falls silent on all connections until [`ProtonPeer::end_silence`].
    Silent,
}

/// The outcome with which the peer settles withheld deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerOutcome {
    /// The outcome `accepted`.
    Accept,
    /// The outcome `released`.
    Release,
}

/// The events that a peer has counted since its start.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct PeerState {
    /// The number of open connections.
    pub connections: usize,
    /// The Open frame of the latest connection.
    pub opened: Option<OpenFrame>,
    /// The Attach frame of every link so far.
    pub attached: Vec<AttachFrame>,
    /// The number of links that no client has detached.
    pub links: usize,
    /// The number of deliveries so far, with every outcome.
    pub deliveries: u64,
    /// The number of deliveries that the peer [holds](PeerFault::Hold) now.
    pub withheld: usize,
}

/// The Open frame of a client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OpenFrame {
    /// `container-id`.
    pub container: String,
    /// `hostname`.
    pub hostname: Option<String>,
    /// The user that SASL authenticated.
    pub user: Option<String>,
}

/// The Attach frame of a client's link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct AttachFrame {
    /// The target's address.
    pub address: String,
    /// The target's capabilities.
    pub capabilities: Vec<String>,
    /// The target's `dynamic-node-properties`.
    pub properties: BTreeMap<String, Value>,
}

impl ProtonPeerBuilder {
    /// Creates a queue before the first client connects.
    #[must_use]
    pub fn queue(mut self, name: &str) -> Self {
        self.queues.push(name.to_owned());
        self
    }

    /// Binds a queue to a topic. The pattern must equal the message's subject, or the part of its
    /// address after a slash. A `#` at the end of the pattern matches every continuation.
    #[must_use]
    pub fn binding(mut self, exchange: &str, pattern: &str, queue: &str) -> Self {
        self.bindings.push([exchange, pattern, queue].map(str::to_owned));
        self
    }

    /// Sets the product and the version that the peer's Open frame names.
    #[must_use]
    pub fn product(mut self, name: &str, version: &str) -> Self {
        self.product = Some((name.to_owned(), version.to_owned()));
        self
    }

    /// Refuses links to unknown addresses instead of creating a queue.
    #[must_use]
    pub fn create_nothing(mut self) -> Self {
        self.create = false;
        self
    }

    /// Does not report this queue as durable, as qpidd does for a queue that is not.
    #[must_use]
    pub fn transient(mut self, queue: &str) -> Self {
        self.transient.push(queue.to_owned());
        self
    }

    /// Never answers an attach to this address.
    #[must_use]
    pub fn unattachable(mut self, address: &str) -> Self {
        self.unattachable.push(address.to_owned());
        self
    }

    /// Sets the number of unsettled deliveries that each link may have. The default is 100.
    #[must_use]
    pub fn credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// Starts the peer and waits until it listens.
    ///
    /// # Panics
    ///
    /// Panics if Proton is not installed: `cargo xtask setup` installs it.
    pub fn start(self) -> ProtonPeer {
        let peer = ProtonPeer {
            program: Mutex::default(),
            settings: self,
            port: free_port(),
            journal: NamedTempFile::new().expect("the system offers a temporary file"),
        };
        peer.launch();
        peer
    }
}

impl ProtonPeer {
    /// Starts a peer that creates a queue for every address to which a client sends.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns the default settings, for a test to change.
    pub fn builder() -> ProtonPeerBuilder {
        ProtonPeerBuilder {
            queues: Vec::new(),
            bindings: Vec::new(),
            product: None,
            create: true,
            transient: Vec::new(),
            unattachable: Vec::new(),
            credit: 100,
        }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL, without credentials.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Lets the next `after` deliveries pass, then inflicts `fault` on the following ones: on
    /// `times` deliveries, or on all until [`clear_faults`](Self::clear_faults). The peer works
    /// through several faults in order.
    pub fn inject(&self, fault: PeerFault, after: u64, times: Option<u64>) {
        self.request(&json!({"do": "inject", "kind": fault, "after": after, "times": times}));
    }

    /// Inflicts `fault` on every delivery to one address, until [`clear_faults`](Self::clear_faults).
    pub fn inject_at(&self, address: &str, fault: PeerFault) {
        self.request(&json!({
            "do": "inject", "kind": fault, "after": 0, "times": null, "address": address,
        }));
    }

    /// Removes every fault. Withheld deliveries stay withheld.
    pub fn clear_faults(&self) {
        self.request(&json!({"do": "clear_faults"}));
    }

    /// Gives every later rejection this condition, or none. The first one is `amqp:not-allowed`.
    pub fn reject_with(&self, condition: Option<&str>) {
        self.request(&json!({"do": "reject_with", "condition": condition}));
    }

    /// Rejects every message with this id.
    pub fn reject_id(&self, id: &str) {
        self.request(&json!({"do": "reject_id", "id": id}));
    }

    /// Settles the withheld deliveries. Returns their number.
    pub fn settle_withheld(&self, outcome: PeerOutcome) -> u64 {
        let settled = self.request(&json!({"do": "settle_withheld", "outcome": outcome}));
        settled.as_u64().expect("the peer returns a count")
    }

    /// Ends a [silence](PeerFault::Silent).
    pub fn end_silence(&self) {
        self.request(&json!({"do": "end_silence"}));
    }

    /// Detaches the links to an address with an error, as brokers do with idle links.
    pub fn detach(&self, address: &str) {
        self.request(&json!({"do": "detach", "address": address}));
    }

    /// Deletes a queue while clients are attached to it, as an operator can.
    pub fn delete_queue(&self, name: &str) {
        self.request(&json!({"do": "delete_queue", "queue": name}));
    }

    /// Returns the messages of a queue, in order. An unknown queue has none.
    pub fn messages(&self, queue: &str) -> Vec<ProtonMessage> {
        let mut messages = Vec::new();
        self.request_each(&json!({"do": "messages", "queue": queue}), |message| {
            messages.push(serde_json::from_value(message).expect("the peer describes a message"));
        });
        messages
    }

    /// Returns the events that the peer has counted so far.
    pub fn state(&self) -> PeerState {
        let state = self.request(&json!({"do": "state"}));
        serde_json::from_value(state).expect("the peer describes its state")
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        self.program().take();
    }

    /// Kills the process if it runs, and starts it again with the messages that it had accepted.
    pub fn restart(&self) {
        self.kill();
        self.launch();
    }

    /// Freezes the process with SIGSTOP. Its connections stay open and silent.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws a frozen process with SIGCONT.
    pub fn unfreeze(&self) {
        self.signal(Signal::CONT);
    }

    fn launch(&self) {
        let ProtonPeerBuilder {
            queues,
            bindings,
            product,
            create,
            transient,
            unattachable,
            credit,
        } = &self.settings;
        let product =
            product.as_ref().map(|(name, version)| json!({"name": name, "version": version}));
        let mut program = PythonProcess::start_system(
            programs::PEER,
            &json!({
                "port": self.port,
                "queues": queues,
                "bindings": bindings,
                "product": product,
                "create": create,
                "transient": transient,
                "unattachable": unattachable,
                "credit": credit,
                "journal": self.journal.path(),
            }),
        );
        assert_eq!(program.receive(), json!({"done": "listening"}));
        *self.program() = Some(program);
    }

    fn request(&self, request: &Value) -> Value {
        self.request_each(request, |_| unreachable!("only `messages` answers with messages"))
    }

    fn request_each(&self, request: &Value, mut each: impl FnMut(Value)) -> Value {
        let mut program = self.program();
        let program = program.as_mut().expect("the peer runs");
        program.send(request);
        loop {
            let mut answer = program.receive();
            if let Some(message) = answer.get_mut("message") {
                each(message.take());
            } else if let Some(done) = answer.get_mut("done") {
                return done.take();
            } else {
                panic!("the peer answered {request} with {answer}\n{}", program.error_output());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let program = self.program();
        let id = program.as_ref().expect("the peer runs").id();
        kill_process(id, signal).expect("the peer's process exists");
    }

    fn program(&self) -> MutexGuard<'_, Option<PythonProcess>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
