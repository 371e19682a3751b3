//! What is in a virtual host: looking at it, and preparing it, by means that are not ours.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{RabbitMq, Received};
use crate::broker::amqp;

/// A virtual host of a node.
#[derive(Clone, Debug)]
pub struct Vhost<'b> {
    broker: &'b RabbitMq,
    name: String,
}

impl<'b> Vhost<'b> {
    pub(super) fn new(broker: &'b RabbitMq, name: String) -> Self {
        Self { broker, name }
    }

    /// Its name, as it is configured; `/` is not escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node that it is on.
    pub fn broker(&self) -> &'b RabbitMq {
        self.broker
    }

    /// Its URL, with user and password.
    pub fn url(&self) -> String {
        let path = self.name.replace('/', "%2F");
        format!("amqp://guest:guest@127.0.0.1:{}/{path}", self.broker.port())
    }

    /// Its URL for TLS, with user and password.
    pub fn tls_url(&self) -> String {
        let path = self.name.replace('/', "%2F");
        format!("amqps://guest:guest@localhost:{}/{path}", self.broker.tls_port())
    }

    /// Every queue, as the node reports it.
    pub fn queues(&self) -> Vec<QueueInfo> {
        let expression = QUEUES.replace("$VHOST", &self.erlang_name());
        let queues = self.broker.eval(&expression);
        serde_json::from_str(&queues)
            .unwrap_or_else(|error| panic!("queues not as expected: {error}: {queues}"))
    }

    /// A queue by its name, if there is one.
    pub fn queue(&self, name: &str) -> Option<QueueInfo> {
        self.queues().into_iter().find(|queue| queue.name == name)
    }

    /// How many clients are connected to it.
    pub fn connections(&self) -> usize {
        let name = self.erlang_name();
        let count = format!("length(rabbit_connection_tracking:list({name}))");
        let count = self.broker.eval(&count);
        count.parse().expect("a count of connections is a number")
    }

    /// Lets a user configure, write and read what matches these patterns.
    pub fn permit(&self, user: &str, [configure, write, read]: [&str; 3]) {
        let arguments = [user, &self.name, configure, write, read, "test"].map(binary).join(", ");
        let set = "rabbit_auth_backend_internal:set_permissions";
        self.broker.eval(&format!("ok = {set}({arguments})"));
    }

    /// Sets a policy for the queues whose names match.
    pub fn set_policy(&self, policy: &str, queues: &str, definition: &Value) {
        let vhost = self.erlang_name();
        let (policy, queues) = (binary(policy), binary(queues));
        let definition = binary(&definition.to_string());
        self.broker.eval(&format!(
            "ok = rabbit_policy:parse_set(
                {vhost}, {policy}, {queues}, {definition}, 0, <<\"queues\">>, <<\"test\">>)"
        ));
    }

    /// Ends a policy.
    pub fn clear_policy(&self, policy: &str) {
        let (vhost, policy) = (self.erlang_name(), binary(policy));
        self.broker.eval(&format!("ok = rabbit_policy:delete({vhost}, {policy}, <<\"test\">>)"));
    }

    /// Declares an exchange. `options`: `durable` and `auto_delete` (false), `arguments` (none).
    ///
    /// # Panics
    ///
    /// As everything from here on, when the broker refuses.
    pub fn declare_exchange(&self, name: &str, kind: &str, options: &Value) {
        self.do_it("declare_exchange", json!({"name": name, "type": kind, "options": options}));
    }

    /// Declares a queue. `options`: `durable` and `auto_delete` (false), `arguments` (none).
    pub fn declare_queue(&self, name: &str, options: &Value) {
        self.do_it("declare_queue", json!({"name": name, "options": options}));
    }

    /// Binds a queue to an exchange.
    pub fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let binding = json!({"queue": queue, "exchange": exchange, "routing_key": routing_key});
        self.do_it("bind", binding);
    }

    /// Ends what [`bind`](Self::bind) began.
    pub fn unbind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let binding = json!({"queue": queue, "exchange": exchange, "routing_key": routing_key});
        self.do_it("unbind", binding);
    }

    /// Deletes a queue, unless something is in it. Whether it is gone.
    pub fn delete_queue_if_empty(&self, name: &str) -> bool {
        let request = self.request("delete_queue", json!({"name": name, "if_empty": true}));
        match amqp::request(&request) {
            Ok(_) => true,
            Err(reason) if reason.starts_with("PreconditionFailed") => false,
            Err(reason) => panic!("{reason}, doing {request}"),
        }
    }

    /// Deletes a queue with what is in it.
    pub fn delete_queue(&self, name: &str) {
        self.do_it("delete_queue", json!({"name": name}));
    }

    /// Deletes an exchange.
    pub fn delete_exchange(&self, name: &str) {
        self.do_it("delete_exchange", json!({"name": name}));
    }

    /// Publishes, and waits for the broker's confirm. `properties` by their AMQP names.
    pub fn publish(&self, exchange: &str, routing_key: &str, properties: &Value, body: &[u8]) {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        self.do_it(
            "publish",
            json!({
                "exchange": exchange,
                "routing_key": routing_key,
                "properties": properties,
                "body": body,
            }),
        );
    }

    /// Takes every message that is ready in a queue, in order.
    pub fn drain(&self, queue: &str) -> Vec<Received> {
        let mut messages = Vec::new();
        self.drain_each(queue, true, |message| messages.push(message));
        messages
    }

    /// As [`drain`](Self::drain), for more messages than are to be held at once, with or without
    /// their bodies. Returns how many there were.
    pub fn drain_each(&self, queue: &str, bodies: bool, each: impl FnMut(Received)) -> u64 {
        let request = self.request("drain", json!({"name": queue, "bodies": bodies}));
        match amqp::request_each(&request, each) {
            Ok(count) => count.as_u64().expect("draining answers with a count"),
            Err(reason) => panic!("cannot drain {queue}: {reason}"),
        }
    }

    fn erlang_name(&self) -> String {
        binary(&self.name)
    }

    fn do_it(&self, operation: &str, arguments: Value) {
        let request = self.request(operation, arguments);
        if let Err(reason) = amqp::request(&request) {
            panic!("{reason}, doing {request}");
        }
    }

    fn request(&self, operation: &str, mut arguments: Value) -> Value {
        arguments["operation"] = json!(operation);
        arguments["port"] = json!(self.broker.port());
        arguments["vhost"] = json!(self.name);
        arguments
    }
}

/// A text as Erlang writes a binary.
pub(super) fn binary(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
    format!("<<{}>>", bytes.join(","))
}

/// A queue, as the node reports it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// `classic` or `quorum`.
    pub r#type: String,
    /// Whether it survives a restart of the node.
    pub durable: bool,
    /// Whether it goes when its last consumer does.
    pub auto_delete: bool,
    /// What it was declared with.
    pub arguments: Map<String, Value>,
    /// Messages that are ready or with a consumer. A quorum queue counts them some seconds late.
    pub messages: u64,
    /// Who consumes from it.
    pub consumers: u64,
}

/// Evaluates to the JSON of all queues of a virtual host.
const QUEUES: &str = r"
    rabbit_json:encode([
        begin
            #{name := {resource, _, queue, Name}, arguments := Arguments} = Queue = maps:from_list(Info),
            Queue#{
                name := Name,
                arguments := maps:from_list([{Key, Value} || {Key, _, Value} <- Arguments])
            }
        end
        || Info <- rabbit_amqqueue:info_all($VHOST, [
            name, type, durable, auto_delete, arguments, messages, consumers
        ])
    ])
";
