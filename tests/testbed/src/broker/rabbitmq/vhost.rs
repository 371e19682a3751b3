//! A virtual host: its queues, bindings and messages, through clients independent of the project.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::broker::RabbitMq;
use super::erlang::binary_literal;
use super::queue::{QUEUES_EXPRESSION, QueueInfo};
use crate::broker::amqp_client::{self, RabbitMqMessage};

/// A virtual host of a node.
#[derive(Clone, Debug)]
pub struct Vhost<'b> {
    broker: &'b RabbitMq,
    name: String,
}

impl RabbitMq {
    /// Returns the URL of the virtual host `/`, with user and password.
    pub fn url(&self) -> String {
        self.root().url()
    }

    /// Returns the virtual host `/`, which exists from the start.
    pub fn root(&self) -> Vhost<'_> {
        Vhost { broker: self, name: "/".to_owned() }
    }

    /// Creates a virtual host with a new name, on which `guest` has all permissions.
    pub fn vhost(&self) -> Vhost<'_> {
        let name = format!("vhost-{}", self.vhosts.fetch_add(1, Ordering::Relaxed));
        self.eval(&format!(r#"rabbit_vhost:add(<<"{name}">>, <<"test">>)"#));
        let vhost = Vhost { broker: self, name };
        vhost.permit("guest", [".*", ".*", ".*"]);
        vhost
    }
}

impl Vhost<'static> {
    /// Runs a blocking call about the virtual host on a thread that may block.
    pub async fn in_background<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let vhost = self.clone();
        tokio::task::spawn_blocking(move || run(&vhost)).await.expect("the call panicked")
    }
}

/// Every method panics if the broker refuses the operation.
impl<'b> Vhost<'b> {
    /// Returns the same virtual host on another node of its cluster.
    #[must_use]
    pub fn on<'c>(&self, node: &'c RabbitMq) -> Vhost<'c> {
        Vhost { broker: node, name: self.name.clone() }
    }

    /// Returns the name. In a URL, a slash in it must be escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the node.
    pub fn broker(&self) -> &'b RabbitMq {
        self.broker
    }

    /// Returns the URL, with user and password.
    pub fn url(&self) -> String {
        let path = self.name.replace('/', "%2F");
        format!("amqp://guest:guest@127.0.0.1:{}/{path}", self.broker.port())
    }

    /// Returns the URL for TLS, with user and password.
    pub fn tls_url(&self) -> String {
        let path = self.name.replace('/', "%2F");
        format!("amqps://guest:guest@localhost:{}/{path}", self.broker.tls_port())
    }

    /// Returns every queue.
    pub fn queues(&self) -> Vec<QueueInfo> {
        let expression = QUEUES_EXPRESSION.replace("$VHOST", &self.erlang_name());
        let queues = self.broker.eval(&expression);
        serde_json::from_str(&queues)
            .unwrap_or_else(|error| panic!("cannot read the list of queues: {error}: {queues}"))
    }

    /// Returns the queue with this name, if it exists.
    pub fn queue(&self, name: &str) -> Option<QueueInfo> {
        self.queues().into_iter().find(|queue| queue.name == name)
    }

    /// Returns the number of client connections.
    pub fn connections(&self) -> usize {
        let name = self.erlang_name();
        let count = format!("length(rabbit_connection_tracking:list({name}))");
        let count = self.broker.eval(&count);
        count.parse().expect("the number of connections is a number")
    }

    /// Closes all client connections, as an operator does with `rabbitmqctl close_all_connections`.
    pub fn close_connections(&self) {
        let name = self.erlang_name();
        self.broker.eval(&format!(
            "[rabbit_networking:close_connection(Pid, <<\"test\">>) \
             || Pid <- [element(6, C) || C <- rabbit_connection_tracking:list({name})]]"
        ));
    }

    /// Permits a user to configure, write and read the resources that match these patterns.
    pub fn permit(&self, user: &str, [configure, write, read]: [&str; 3]) {
        let arguments = [user, &self.name, configure, write, read, "test"].map(binary_literal);
        let set = "rabbit_auth_backend_internal:set_permissions";
        self.broker.eval(&format!("ok = {set}({})", arguments.join(", ")));
    }

    /// Permits a user to write and read messages of an exchange whose routing keys match these patterns.
    pub fn permit_topics(&self, user: &str, exchange: &str, [write, read]: [&str; 2]) {
        let arguments = [user, &self.name, exchange, write, read, "test"].map(binary_literal);
        let set = "rabbit_auth_backend_internal:set_topic_permissions";
        self.broker.eval(&format!("ok = {set}({})", arguments.join(", ")));
    }

    /// Sets a policy for the queues whose names match the pattern `queues`.
    pub fn set_policy(&self, policy: &str, queues: &str, definition: &Value) {
        let vhost = self.erlang_name();
        let (policy, queues) = (binary_literal(policy), binary_literal(queues));
        let definition = binary_literal(&definition.to_string());
        self.broker.eval(&format!(
            "ok = rabbit_policy:parse_set(
                {vhost}, {policy}, {queues}, {definition}, 0, <<\"queues\">>, <<\"test\">>)"
        ));
        self.sync_metadata();
    }

    /// Removes a policy.
    pub fn clear_policy(&self, policy: &str) {
        let (vhost, policy) = (self.erlang_name(), binary_literal(policy));
        self.broker.eval(&format!("ok = rabbit_policy:delete({vhost}, {policy}, <<\"test\">>)"));
        self.sync_metadata();
    }

    /// Lets the queues whose names match the pattern `queues` hold one message and reject the others, until
    /// [`make_room`](Self::make_room).
    pub fn fill(&self, queues: &str) {
        // RabbitMQ 3 applies a new length before a new overflow policy, so a queue would first drop its
        // messages, which it has confirmed.
        for length in [u32::MAX, 1] {
            let full = json!({ "max-length": length, "overflow": "reject-publish" });
            self.set_policy("full", queues, &full);
            // The answer of each queue comes after it has applied the policy.
            self.queues();
        }
    }

    /// Gives the queues room again.
    pub fn make_room(&self) {
        self.clear_policy("full");
    }

    /// Suspends the process of a classic queue: the node answers no message for it, and no question about
    /// it, until [`resume_queue`](Self::resume_queue).
    pub fn suspend_queue(&self, name: &str) {
        self.signal_queue(name, "suspend");
    }

    /// Lets the process of a queue go on.
    pub fn resume_queue(&self, name: &str) {
        self.signal_queue(name, "resume");
    }

    /// Ends what [`fill`](Self::fill) and [`suspend_queue`](Self::suspend_queue) did to a queue.
    pub fn repair_queue(&self, name: &str) {
        let (vhost, policy) = (self.erlang_name(), binary_literal("full"));
        if self.broker.eval(&format!("rabbit_policy:lookup({vhost}, {policy})")) != "not_found" {
            self.make_room();
        }
        self.resume_queue(name);
    }

    fn signal_queue(&self, name: &str, action: &str) {
        let (vhost, name) = (self.erlang_name(), binary_literal(name));
        self.broker.eval(&format!(
            "begin
                {{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r({vhost}, queue, {name})),
                ok = sys:{action}(amqqueue:get_pid(Queue))
            end"
        ));
    }

    /// Declares an exchange of the type `kind`.
    ///
    /// `options` is an object with `durable` and `auto_delete` (default `false`) and `arguments`
    /// (default none).
    pub fn declare_exchange(&self, name: &str, kind: &str, options: &Value) {
        let arguments = json!({"name": name, "type": kind, "options": options});
        self.operate("declare_exchange", arguments);
        self.sync_metadata();
    }

    /// Declares a queue, with the same `options` as [`declare_exchange`](Self::declare_exchange).
    pub fn declare_queue(&self, name: &str, options: &Value) {
        self.operate("declare_queue", json!({"name": name, "options": options}));
        self.sync_metadata();
    }

    /// Binds a queue to an exchange.
    pub fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let binding = json!({"queue": queue, "exchange": exchange, "routing_key": routing_key});
        self.operate("bind", binding);
        self.sync_metadata();
    }

    /// Removes a binding.
    pub fn unbind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let binding = json!({"queue": queue, "exchange": exchange, "routing_key": routing_key});
        self.operate("unbind", binding);
        self.sync_metadata();
    }

    /// Deletes a queue if it is empty. Returns whether it did.
    pub fn delete_queue_if_empty(&self, name: &str) -> bool {
        let request = self.request("delete_queue", json!({"name": name, "if_empty": true}));
        match amqp_client::request(&request) {
            Ok(_) => true,
            Err(reason) if reason.starts_with("PreconditionFailed") => false,
            Err(reason) => panic!("the AMQP client failed: {reason}: {request}"),
        }
    }

    /// Deletes a queue with its messages.
    pub fn delete_queue(&self, name: &str) {
        self.operate("delete_queue", json!({"name": name}));
        self.sync_metadata();
    }

    /// Deletes an exchange.
    pub fn delete_exchange(&self, name: &str) {
        self.operate("delete_exchange", json!({"name": name}));
        self.sync_metadata();
    }

    /// Publishes a message and waits for the broker's confirm. `properties` is an object with
    /// AMQP's names.
    pub fn publish(&self, exchange: &str, routing_key: &str, properties: &Value, body: &[u8]) {
        self.publish_all(exchange, routing_key, properties, &[body]);
    }

    /// Publishes messages over one connection, as [`publish`](Self::publish) does.
    pub fn publish_all<B: AsRef<[u8]>>(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: &Value,
        bodies: &[B],
    ) {
        use base64::Engine as _;
        let encode = |body: &B| base64::engine::general_purpose::STANDARD.encode(body);
        self.operate(
            "publish",
            json!({
                "exchange": exchange,
                "routing_key": routing_key,
                "properties": properties,
                "bodies": bodies.iter().map(encode).collect::<Vec<_>>(),
            }),
        );
    }

    /// Takes all ready messages from a queue, in order.
    pub fn drain(&self, queue: &str) -> Vec<RabbitMqMessage> {
        let mut messages = Vec::new();
        self.drain_each(queue, true, |message| messages.push(message));
        messages
    }

    /// Takes all ready messages from a queue, in order, and calls `each` with every one. Returns
    /// their number.
    ///
    /// Without `bodies`, the messages arrive with empty bodies, which saves memory when there are
    /// many.
    pub fn drain_each(&self, queue: &str, bodies: bool, each: impl FnMut(RabbitMqMessage)) -> u64 {
        let request = self.request("drain", json!({"name": queue, "bodies": bodies}));
        match amqp_client::request_each(&request, each) {
            Ok(count) => count.as_u64().expect("`drain` returns a count"),
            Err(reason) => panic!("cannot drain {queue}: {reason}"),
        }
    }

    /// Writes the broker's metadata to its disk.
    ///
    /// RabbitMQ 3.10 confirms a declaration when Mnesia has synced the transaction's commit record.
    /// The record of the decision follows without a sync: it stays in memory for up to two seconds, or
    /// until the next transaction. After a `kill -9` in between, Mnesia finds no decision and discards
    /// the queue with every message in it, or gives a queue back the policy that it had, and the queue
    /// drops what is too much for that. A test that kills the broker must not depend on that
    /// window.
    pub fn sync_metadata(&self) {
        self.broker.eval("disk_log:sync(latest_log)");
    }

    /// Returns the name as the literal of an Erlang binary.
    fn erlang_name(&self) -> String {
        binary_literal(&self.name)
    }

    /// Runs an operation of the independent client.
    fn operate(&self, operation: &str, arguments: Value) {
        let request = self.request(operation, arguments);
        if let Err(reason) = amqp_client::request(&request) {
            panic!("the AMQP client failed: {reason}: {request}");
        }
    }

    fn request(&self, operation: &str, mut arguments: Value) -> Value {
        arguments["operation"] = json!(operation);
        arguments["port"] = json!(self.broker.port());
        arguments["vhost"] = json!(self.name);
        arguments
    }
}
