//! One connection to the broker, from the TCP connect to the close.
//!
//! fe2o3-amqp runs every connection, session and link in a task of its own, and these tasks end only
//! when the socket does. So the [`ShutdownGuard`] shuts down the socket when a [`Connection`] is
//! dropped, at any point.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::types::definitions::SenderSettleMode;
use fe2o3_amqp::types::messaging::{Target, TerminusDurability};
use fe2o3_amqp::types::primitives::{Array, Symbol, Value};
use fe2o3_amqp::{Sender, Session};
use notify_core::redact::printable;
use notify_core::{Error, ErrorKind, Result};
use notify_net::guard::amqp10::{Amqp10Guard, FRAME_MAX};
use notify_net::guard::{GuardReport, GuardedStream};
use notify_net::{
    BrokerAnswer, BrokerStream, Dialer, OnceWarnings, PeerInfo, Secret, ShutdownGuard,
};
use tokio::time::{Instant, timeout};

use crate::config::Config;
use crate::error::ErrorContext;
use crate::error::client::is_missing_node;
use crate::link::{Answer, Link};
use crate::topology::{DURABLE, Route, Topology};
use crate::wire::{self, BrokerProduct};

/// An open connection, with the links that were attached so far.
pub(crate) struct Connection {
    /// The first field, so that it is dropped first: it ends the waits of the client's tasks.
    _shutdown_guard: ShutdownGuard,
    /// The client's handle of the connection.
    pub(crate) handle: ConnectionHandle<()>,
    /// The links by address. Each has its own session, because a broker ends the session if one
    /// address has a problem.
    pub(crate) links: BTreeMap<String, Link>,
    /// The links that the current `send` attached. They join `links` when it ends; after a dropped `send`,
    /// when the next one begins.
    pub(crate) new_links: BTreeMap<String, Link>,
    /// The addresses in the dialect of this broker.
    pub(crate) topology: Topology,
    /// The host and the user, for errors.
    pub(crate) context: ErrorContext,
    /// The address of the peer, and its TLS parameters.
    pub(crate) peer: PeerInfo,
    /// The product that the broker claims to be.
    pub(crate) product: BrokerProduct,
    /// The guard's findings.
    report: GuardReport,
    /// The warnings that appear once.
    pub(crate) warnings: Arc<OnceWarnings>,
    /// Whether a session is half open: its attach is running, was dropped, or had no answer in time.
    pub(crate) is_half_open: bool,
}

impl Connection {
    /// Connects to the first host that accepts the login, within `qpid.connect_timeout`.
    ///
    /// Reads the password file, the authorities and the certificates anew, so that you can replace
    /// them without a restart.
    ///
    /// # Errors
    ///
    /// The most useful error of all hosts.
    pub(crate) async fn open(
        config: &Config,
        name: &str,
        warnings: &Arc<OnceWarnings>,
    ) -> Result<Self> {
        let password = &config.endpoint.read_password().await?;
        let dialer = Dialer::new(&config.endpoint).await?;
        let log_in = |stream, shutdown_guard| {
            LoginAttempt { config, password, name, warnings }.run(stream, shutdown_guard)
        };
        let connection = dialer.open(log_in).await?;
        let Self { peer, product, topology, .. } = &connection;
        warnings.log_connected(peer, &product.to_string(), &config.endpoint);
        if let Some(losses) = topology.known_losses() {
            warnings.warn(losses);
        }
        Ok(connection)
    }

    /// Checks whether the connection can send: it is open, and no session is half open, unless messages are
    /// in flight, which the next send must wait for.
    pub(crate) fn is_usable(&self) -> bool {
        let mut links = self.links.values().chain(self.new_links.values());
        !self.handle.is_closed() && (!self.is_half_open || links.any(Link::has_pending))
    }

    /// Attaches a link to the address of `route`, unless a usable one exists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) or
    /// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if an operator must act, and a transient
    /// error otherwise. `time` bounds the wait.
    pub(crate) async fn ensure_link(
        &mut self,
        route: &Route,
        time: Duration,
    ) -> Result<(), AttachFailure> {
        if self.has_usable_link(&route.address) {
            return Ok(());
        }
        let attached =
            attach_in_time(&mut self.handle, &self.context, &self.warnings, route, time).await;
        self.links.insert(route.address.clone(), attached?);
        Ok(())
    }

    /// Returns whether a usable link to an address exists. Drops a link that is unusable.
    pub(crate) fn has_usable_link(&mut self, address: &str) -> bool {
        let is_usable = self.links.get_mut(address).is_some_and(Link::is_usable);
        if !is_usable {
            self.links.remove(address);
        }
        is_usable
    }

    /// Returns whether an address works, or may work, beside those in `failed`. If there is no link, attaches the
    /// documented addresses first, within `time`: the batch may have had messages for one lane only.
    pub(crate) async fn has_other_address(
        &mut self,
        failed: &HashMap<String, Answer>,
        time: Duration,
    ) -> bool {
        if !self.links.is_empty() {
            return true;
        }
        let mut routes: Vec<_> = self.topology.documented_routes().cloned().collect();
        routes.retain(|route| !failed.contains_key(&route.address));
        if routes.is_empty() {
            return false;
        }
        self.is_half_open = true;
        let Self { handle, context, warnings, .. } = self;
        let (links, failures) = attach_all(handle, context, warnings, &routes, time).await;
        self.is_half_open = failures.iter().any(|(_, failure)| failure.is_timeout());
        self.links = links;
        !self.links.is_empty() || failures.iter().any(|(_, failure)| failure.error.is_transient())
    }

    /// Returns whether the broker reports that the node of an attached address is not durable.
    pub(crate) fn is_transient(&self, address: &str) -> bool {
        self.links.get(address).is_some_and(|link| link.is_transient)
    }

    /// Returns the error of the frame at which the guard ended the connection. Every other error is a
    /// consequence of it.
    pub(crate) fn violation(&self) -> Option<Error> {
        self.report.violation()
    }

    /// Returns the error that closed the connection. The errors of its links do not name the reason.
    pub(crate) async fn close_reason(&mut self) -> Option<Error> {
        // The client fails the links a moment before it closes the connection.
        let time = if self.handle.is_closed() { CLOSE_TIMEOUT } else { CLOSE_DELAY };
        match timeout(time, self.handle.on_close()).await {
            Ok(Err(error)) => Some(self.context.close_error(&error)),
            Err(_) if !self.handle.is_closed() => None,
            Ok(Ok(())) | Err(_) => Some(self.context.connection_lost()),
        }
    }

    /// Closes the connection and waits for the broker's answer, at most [`CLOSE_TIMEOUT`].
    ///
    /// Does not detach the links, because RabbitMQ 3 answers a detach with an error.
    ///
    /// # Errors
    ///
    /// A timeout if the broker does not answer.
    pub(crate) async fn close(mut self) -> Result<()> {
        if self.handle.is_closed() {
            return Ok(());
        }
        match timeout(CLOSE_TIMEOUT, self.handle.close()).await {
            // The connection is over, with or without an error of the broker.
            Ok(_) => Ok(()),
            Err(_) => Err(self.context.timeout_error("did not confirm the end of the connection")),
        }
    }
}

/// The parameters of a login.
#[derive(Clone, Copy)]
struct LoginAttempt<'a> {
    config: &'a Config,
    /// The password, read for this connect; empty without one.
    password: &'a Secret,
    /// The container id.
    name: &'a str,
    warnings: &'a Arc<OnceWarnings>,
}

impl LoginAttempt<'_> {
    /// Logs in over a connected stream and opens the connection.
    ///
    /// # Errors
    ///
    /// An error that names the host and the option to change.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    async fn run(
        self,
        mut stream: BrokerStream,
        shutdown_guard: ShutdownGuard,
    ) -> Result<Connection> {
        let Self { config, .. } = self;
        let peer = stream.peer().clone();
        let context = ErrorContext::new(&peer.host, &config.endpoint);
        wire::authenticate(&mut stream, &config.endpoint, self.password, &context).await?;

        let report = GuardReport::default();
        let stream = GuardedStream::new(stream, Amqp10Guard::default(), report.clone());
        let mut builder = fe2o3_amqp::Connection::builder()
            .container_id(self.name)
            // The stream is past TLS and SASL, so the client must not begin with either.
            .scheme("amqp")
            .max_frame_size(FRAME_MAX)
            // The client asks the peer for a frame in half of this time: one heartbeat.
            .idle_time_out(u32::from(config.endpoint.heartbeat) * 2000);
        if let Some(virtual_host) = &config.endpoint.virtual_host {
            builder = builder.hostname(virtual_host.as_str());
        }
        let handle = builder
            .open_with_stream(stream)
            .await
            .map_err(|error| report.violation().unwrap_or_else(|| context.open_error(&error)))?;
        let product = BrokerProduct::from_open(report.greeting().unwrap_or_default());
        Ok(Connection {
            _shutdown_guard: shutdown_guard,
            handle,
            links: BTreeMap::new(),
            new_links: BTreeMap::new(),
            topology: Topology::new(config, &product.name, &product.version),
            context,
            peer,
            product,
            report,
            warnings: Arc::clone(self.warnings),
            is_half_open: false,
        })
    }
}

/// Attaches links to the addresses of `routes`, one after the other, within `time` for all. Each gets an equal
/// share of the time that is left, so one that hangs leaves the others theirs.
///
/// Returns the links, and the reason of each address without one.
pub(crate) async fn attach_all(
    handle: &mut ConnectionHandle<()>,
    context: &ErrorContext,
    warnings: &OnceWarnings,
    routes: &[Route],
    time: Duration,
) -> (BTreeMap<String, Link>, Vec<(String, AttachFailure)>) {
    let deadline = Instant::now() + time;
    let (mut links, mut failures) = (BTreeMap::new(), Vec::new());
    for (index, route) in routes.iter().enumerate() {
        let left = u32::try_from(routes.len() - index).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match attach_in_time(handle, context, warnings, route, share).await {
            Ok(link) => _ = links.insert(route.address.clone(), link),
            Err(failure) => failures.push((route.address.clone(), failure)),
        }
    }
    (links, failures)
}

/// Attaches a link within `time`. Logs once that its node is not durable.
async fn attach_in_time(
    handle: &mut ConnectionHandle<()>,
    context: &ErrorContext,
    warnings: &OnceWarnings,
    route: &Route,
    time: Duration,
) -> Result<Link, AttachFailure> {
    let link = timeout(time, attach(handle, context, route))
        .await
        .unwrap_or_else(|_| Err(context.timeout_error("did not answer an attach").into()))?;
    if link.is_transient {
        warnings.warn(&transient_node(&route.address));
    }
    Ok(link)
}

/// Begins a session and attaches a link on it. Creates the node first if the route says so.
///
/// # Errors
///
/// A permanent error if the address is wrong or forbidden, and a transient error otherwise.
async fn attach(
    handle: &mut ConnectionHandle<()>,
    context: &ErrorContext,
    route: &Route,
) -> Result<Link, AttachFailure> {
    let Route { address, capabilities, create_address, .. } = route;
    if let Some(create_address) = create_address {
        create_node(handle, context, create_address).await?;
    }
    let mut target = Target::from(address.as_str());
    if !capabilities.is_empty() {
        let capabilities = capabilities.iter().copied().map(Symbol::from).collect::<Vec<_>>();
        target.capabilities = Some(Array::from(capabilities));
    }
    if route.asks_for_durability() {
        // qpidd reads the properties of a node without the flag `dynamic` too, and returns them.
        let properties = [(Symbol::from(DURABLE), Value::Bool(true))];
        target.dynamic_node_properties = Some(properties.into_iter().collect());
    }
    let mut session =
        Session::begin(handle).await.map_err(|error| context.begin_error(&error, address))?;
    let attached = sender_builder(target, address)
        // The client refuses an answer with the properties of a node that is not dynamic.
        .verify_incoming_target(!route.asks_for_durability())
        .attach(&mut session)
        .await;
    match attached {
        Ok(sender) => {
            let is_transient = route.asks_for_durability() && !is_durable(sender.target().as_ref());
            Ok(Link::new(session, sender, is_transient))
        }
        Err(error) => Err(AttachFailure {
            meaning: if is_missing_node(&error) {
                BrokerAnswer::Unroutable
            } else {
                BrokerAnswer::QueueUnavailable
            },
            error: context.attach_error(&error, address),
        }),
    }
}

/// Returns whether the broker reports the node of an attached target as durable.
fn is_durable(target: Option<&Target>) -> bool {
    let capabilities = target.and_then(|target| target.capabilities.as_ref());
    capabilities.is_some_and(|them| them.0.iter().any(|it| it.as_str() == DURABLE))
}

/// Returns the warning about a node that does not survive a restart of the broker.
pub(crate) fn transient_node(address: &str) -> String {
    let address = printable(address, 255);
    format!(
        "node `{address}` is not durable: the broker loses its messages when it restarts. Delete the \
         node, and it is created durable; or create it with `qpid-config add queue {address} --durable`"
    )
}

/// The reason why no link to an address exists, and what it means for the messages of that address.
#[derive(Debug)]
pub(crate) struct AttachFailure {
    pub(crate) meaning: BrokerAnswer,
    pub(crate) error: Error,
}

impl AttachFailure {
    /// Returns whether the broker did not answer in time.
    pub(crate) fn is_timeout(&self) -> bool {
        self.error.kind() == ErrorKind::Timeout
    }
}

/// Everything except a missing node is a queue out of service.
impl From<Error> for AttachFailure {
    fn from(error: Error) -> Self {
        Self { meaning: BrokerAnswer::QueueUnavailable, error }
    }
}

/// Creates a durable node by attaching to its `create_address`, then drops that link.
///
/// # Errors
///
/// An error if messages to the node would fail. An existing node is fine, whatever its properties.
async fn create_node(
    handle: &mut ConnectionHandle<()>,
    context: &ErrorContext,
    create_address: &str,
) -> Result<()> {
    let mut session = Session::begin(handle)
        .await
        .map_err(|error| context.begin_error(&error, create_address))?;
    let mut target = Target::from(create_address);
    target.durable = TerminusDurability::UnsettledState;
    match sender_builder(target, create_address).attach(&mut session).await {
        Ok(_) => Ok(()),
        Err(error) => context.accept_create_error(&error, create_address),
    }
}

/// The client's builder of a sending link with a name and a target.
type SenderBuilder = fe2o3_amqp::link::builder::Builder<
    fe2o3_amqp::link::role::SenderMarker,
    Target,
    fe2o3_amqp::link::builder::WithName,
    fe2o3_amqp::link::builder::WithSource,
    fe2o3_amqp::link::builder::WithTarget,
>;

/// Returns the builder of a link whose messages the broker must settle.
fn sender_builder(target: Target, address: &str) -> SenderBuilder {
    Sender::builder()
        // A unique name: the broker may not have noticed yet that an earlier link is gone.
        .name(format!("{address}:{}", LINK_COUNT.fetch_add(1, Ordering::Relaxed)))
        .target(target)
        // With any other mode, the client could report a message as accepted when it was only sent.
        .sender_settle_mode(SenderSettleMode::Unsettled)
}

impl fmt::Debug for Connection {
    /// Leaves out the client's types, which may hold messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("product", &self.product)
            .field("links", &self.links.keys())
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// The number of links that this process has attached, for unique names.
static LINK_COUNT: AtomicU64 = AtomicU64::new(0);

/// The time between the end of a link and the end of the connection that caused it.
const CLOSE_DELAY: Duration = Duration::from_millis(20);
/// The longest wait for the broker's answer to a close. The worker waits 5 s for the whole close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
