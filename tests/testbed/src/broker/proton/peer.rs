//! A peer that takes messages, and does what brokers do at their worst, on demand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{Received, program};
use crate::broker::free_port;
use crate::broker::python::Python;

/// An AMQP 1.0 peer of its own on 127.0.0.1, with queues and topics. It ends when this is dropped.
///
/// What it accepted it still has after [`kill`](Self::kill) and [`restart`](Self::restart). It takes
/// anybody (ANONYMOUS). A message that no binding matches is released.
#[derive(Debug)]
pub struct Peer {
    program: Mutex<Option<Python>>,
    settings: Builder,
    port: u16,
    journal: NamedTempFile,
}

/// Settings of a peer that is to be started.
#[derive(Clone, Debug)]
pub struct Builder {
    queues: Vec<String>,
    bindings: Vec<[String; 3]>,
    product: Option<(String, String)>,
    create: bool,
    credit: u32,
}

/// What happens to a delivery instead of being accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// The outcome `rejected`.
    Reject,
    /// The outcome `released`.
    Release,
    /// The outcome `modified`.
    Modify,
    /// No outcome, until [`Peer::settle_held`].
    Hold,
    /// The link is closed with an error.
    Detach,
    /// The session is ended with an error.
    End,
    /// The connection is closed with an error.
    Close,
    /// The TCP connection is cut.
    Drop,
    /// Nothing is said any more, to nobody, until [`Peer::speak`].
    Silent,
}

/// What becomes of deliveries that were held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// `accepted`.
    Accept,
    /// `released`.
    Release,
}

/// What a peer has seen since it started.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Connections that are open now.
    pub connections: usize,
    /// Who opened the last connection.
    pub opened: Option<Opened>,
    /// Every link that was attached.
    pub attached: Vec<Attached>,
    /// Deliveries that arrived, whatever became of them.
    pub deliveries: u64,
    /// Deliveries that are [held](Fault::Hold) now.
    pub held: usize,
}

/// What a client said when it opened a connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Opened {
    /// `container-id`.
    pub container: String,
    /// `hostname`.
    pub hostname: Option<String>,
    /// Who it is by SASL.
    pub user: Option<String>,
}

/// What a client said when it attached a link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Attached {
    /// The target's address.
    pub address: String,
    /// The target's capabilities.
    pub capabilities: Vec<String>,
}

impl Builder {
    /// A queue that is there from the start.
    #[must_use]
    pub fn queue(mut self, name: &str) -> Self {
        self.queues.push(name.to_owned());
        self
    }

    /// A topic whose messages go to a queue when their subject, or what follows a slash in the
    /// address, matches: exactly, or up to a `#` at the end.
    #[must_use]
    pub fn binding(mut self, exchange: &str, pattern: &str, queue: &str) -> Self {
        self.bindings.push([exchange, pattern, queue].map(str::to_owned));
        self
    }

    /// What the peer says it is.
    #[must_use]
    pub fn product(mut self, name: &str, version: &str) -> Self {
        self.product = Some((name.to_owned(), version.to_owned()));
        self
    }

    /// Refuses links to what is not there, instead of creating a queue.
    #[must_use]
    pub fn create_nothing(mut self) -> Self {
        self.create = false;
        self
    }

    /// How many deliveries may be on their way. 100 where nothing is said.
    #[must_use]
    pub fn credit(mut self, credit: u32) -> Self {
        self.credit = credit;
        self
    }

    /// Starts the peer and waits until it listens.
    ///
    /// # Panics
    ///
    /// When Proton is not installed.
    pub fn start(self) -> Peer {
        let peer = Peer {
            program: Mutex::default(),
            settings: self,
            port: free_port(),
            journal: NamedTempFile::new().expect("cannot make a temporary file"),
        };
        peer.launch();
        peer
    }
}

impl Peer {
    /// A peer that creates every queue that is sent to.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A peer with settings of the test's own.
    pub fn builder() -> Builder {
        Builder {
            queues: Vec::new(),
            bindings: Vec::new(),
            product: None,
            create: true,
            credit: 100,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL, without credentials.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Does `fault` to the next deliveries after the next `after`: to so many `times`, or to all until
    /// it [behaves](Self::behave). Several are done one after the other.
    pub fn fault(&self, fault: Fault, after: u64, times: Option<u64>) {
        self.ask(&json!({"do": "fault", "kind": fault, "after": after, "times": times}));
    }

    /// Forgets every fault. What is held stays so.
    pub fn behave(&self) {
        self.ask(&json!({"do": "behave"}));
    }

    /// Rejects whatever message has this id.
    pub fn refuse(&self, id: &str) {
        self.ask(&json!({"do": "refuse", "id": id}));
    }

    /// Settles what is held; returns how many deliveries that were.
    pub fn settle_held(&self, outcome: Outcome) -> u64 {
        let settled = self.ask(&json!({"do": "settle_held", "outcome": outcome}));
        settled.as_u64().expect("a count")
    }

    /// Ends a [silence](Fault::Silent).
    pub fn speak(&self) {
        self.ask(&json!({"do": "speak"}));
    }

    /// Deletes a queue, as an operator would while links are attached to it.
    pub fn delete_queue(&self, name: &str) {
        self.ask(&json!({"do": "delete", "queue": name}));
    }

    /// What is in a queue, in order; nothing, if there is no such queue.
    pub fn messages(&self, queue: &str) -> Vec<Received> {
        let mut messages = Vec::new();
        self.ask_each(&json!({"do": "messages", "queue": queue}), |message| {
            messages.push(serde_json::from_value(message).expect("a message"));
        });
        messages
    }

    /// What it has seen.
    pub fn state(&self) -> State {
        serde_json::from_value(self.ask(&json!({"do": "state"}))).expect("a state")
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        self.program().take();
    }

    /// Starts it again with what it had accepted; first kills it if it still runs.
    pub fn restart(&self) {
        self.kill();
        self.launch();
    }

    /// Stops the process in its tracks (SIGSTOP): its connections stay open and say nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn launch(&self) {
        let Builder { queues, bindings, product, create, credit } = &self.settings;
        let product =
            product.as_ref().map(|(name, version)| json!({"name": name, "version": version}));
        let mut program = Python::start_system(
            program!("../python/proton_peer.py"),
            &json!({
                "port": self.port,
                "queues": queues,
                "bindings": bindings,
                "product": product,
                "create": create,
                "credit": credit,
                "journal": self.journal.path(),
            }),
        );
        assert_eq!(program.answer(), json!({"done": "listening"}));
        *self.program() = Some(program);
    }

    fn ask(&self, request: &Value) -> Value {
        self.ask_each(request, |_| unreachable!("only messages are many"))
    }

    fn ask_each(&self, request: &Value, mut each: impl FnMut(Value)) -> Value {
        let mut program = self.program();
        let program = program.as_mut().expect("the peer does not run");
        program.ask(request);
        loop {
            let mut answer = program.answer();
            if let Some(message) = answer.get_mut("message") {
                each(message.take());
            } else if let Some(done) = answer.get_mut("done") {
                return done.take();
            } else {
                panic!("{answer}, doing {request}\n{}", program.said());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let program = self.program();
        let id = program.as_ref().expect("the peer does not run").id();
        kill_process(id, signal).expect("cannot signal the peer");
    }

    fn program(&self) -> MutexGuard<'_, Option<Python>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
