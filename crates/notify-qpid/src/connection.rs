//! One connection to the broker, from the first packet to the last.
//!
//! fe2o3-amqp runs each connection, session and link in tasks of its own, which end only when the
//! socket does. So whatever happens to us, dropped in the middle included, the socket is shut down
//! from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::types::definitions::SenderSettleMode;
use fe2o3_amqp::types::messaging::{Target, TerminusDurability};
use fe2o3_amqp::types::primitives::{Array, Symbol};
use fe2o3_amqp::{Sender, Session};
use notify_core::{Error, Result};
use notify_net::{Failover, Host, PeerInfo, Secret, ShutdownGuard, TlsConfig};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Config, SaslMechanism};
use crate::error::Site;
use crate::link::Link;
use crate::topology::{Route, Topology};
use crate::wire::{self, Product, Wire};

/// A connection that is open, with the links that were attached so far.
pub(crate) struct Connection {
    /// First, so that it is dropped first: what the library's tasks wait for is over then.
    _shutdown_guard: ShutdownGuard,
    pub(crate) handle: ConnectionHandle<()>,
    /// By address. Each has a session of its own: brokers end a session for what is wrong with one
    /// address.
    pub(crate) links: BTreeMap<String, Link>,
    pub(crate) topology: Topology,
    pub(crate) site: Site,
    pub(crate) peer: PeerInfo,
    pub(crate) product: Product,
    /// Whether a session is being begun: if we are dropped then, it stays half open.
    attaching: bool,
}

impl Connection {
    /// Asks one host after the other until one lets us in, within `qpid.connect_timeout`.
    ///
    /// Password, authorities and certificates are read anew.
    pub(crate) async fn open(config: &Config, name: &str) -> Result<Self> {
        let password = match &config.password {
            Some(password) => password.read().await?,
            None => Secret::new(""),
        };
        let tls = match &config.tls {
            Some(files) => Some(files.load().await?),
            None => None,
        };
        let mut failover = Failover::new(&config.hosts, config.connect_timeout);
        while let Some((host, deadline)) = failover.next() {
            let log_in = LogIn { config, host, password: &password, tls: tls.as_ref(), name };
            match timeout_at(deadline, log_in.run(deadline)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => {
                    failover.record_error(log_in.diagnose_disconnect(error, deadline).await)
                }
                Err(_) => failover.record_timeout(host),
            }
        }
        Err(failover.into_error())
    }

    /// Whether it is worth sending on.
    pub(crate) fn is_usable(&self) -> bool {
        !self.handle.is_closed() && !self.attaching
    }

    /// Attaches a link where there is none that is fit for use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) or
    /// [`ErrorKind::Access`](notify_core::ErrorKind::Access) for what an operator must decide.
    pub(crate) async fn ensure_link(&mut self, route: &Route, time: Duration) -> Result<()> {
        if self.links.get(&route.address).is_some_and(Link::is_usable) {
            return Ok(());
        }
        self.links.remove(&route.address);
        self.attaching = true;
        let attached = timeout(time, attach(&mut self.handle, &self.site, route))
            .await
            .unwrap_or_else(|_| Err(self.site.late("did not answer an attach")));
        self.attaching = false;
        self.links.insert(route.address.clone(), attached?);
        Ok(())
    }

    /// Why the connection ended, which the links do not know.
    pub(crate) async fn cause(&mut self) -> Option<Error> {
        if !self.handle.is_closed() {
            return None;
        }
        // It says so at once, or nobody will.
        match timeout(CLOSE_TIMEOUT, self.handle.on_close()).await {
            Ok(Err(error)) => Some(self.site.closed(&error)),
            _ => None,
        }
    }

    /// Says goodbye to the broker.
    ///
    /// Links are not detached: RabbitMQ 3 answers that with something else.
    pub(crate) async fn close(mut self) -> Result<()> {
        if self.handle.is_closed() {
            return Ok(());
        }
        match timeout(CLOSE_TIMEOUT, self.handle.close()).await {
            // What the broker says of a connection that nobody wants any more changes nothing.
            Ok(_) => Ok(()),
            Err(_) => Err(self.site.late("did not answer our goodbye")),
        }
    }
}

/// What is needed to log in at one host.
struct LogIn<'a> {
    config: &'a Config,
    host: &'a Host,
    password: &'a Secret,
    tls: Option<&'a TlsConfig>,
    name: &'a str,
}

impl LogIn<'_> {
    /// As long as a silent peer is waited for while nothing is written: the idle time-out does not
    /// pass while the library is stuck in a write.
    fn user_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.heartbeat))
    }

    /// The error, or what it may hide.
    async fn diagnose_disconnect(&self, error: Error, deadline: Instant) -> Error {
        notify_net::diagnose_disconnect(error, self.host, self.tls, self.user_timeout(), deadline)
            .await
    }

    async fn run(&self, deadline: Instant) -> Result<Connection> {
        let Self { config, host, .. } = *self;
        let (mut stream, shutdown_guard) =
            notify_net::connect(host, self.tls, self.user_timeout(), deadline).await?;
        let site = Site::new(host, config);
        let peer = stream.peer().clone();
        wire::log_in(&mut stream, config, self.password, &site).await?;

        let product = Arc::new(OnceLock::new());
        let mut builder = fe2o3_amqp::Connection::builder()
            .container_id(self.name)
            // The stream that we hand over is past TLS and SASL.
            .scheme("amqp")
            .idle_time_out(u32::from(config.heartbeat) * 1000);
        if let Some(virtual_host) = &config.virtual_host {
            builder = builder.hostname(virtual_host.as_str());
        }
        let handle = builder
            .open_with_stream(Wire::new(stream, Arc::clone(&product)))
            .await
            .map_err(|error| site.open(&error))?;
        let product = product.get().cloned().unwrap_or_default();
        let connection = Connection {
            _shutdown_guard: shutdown_guard,
            handle,
            links: BTreeMap::new(),
            topology: Topology::new(config, &product.name, &product.version),
            site,
            peer,
            product,
            attaching: false,
        };
        connection.tell(config);
        Ok(connection)
    }
}

impl Connection {
    fn tell(&self, config: &Config) {
        let Self { peer, product, topology, .. } = self;
        let tls = peer.tls.as_deref().unwrap_or("no TLS");
        tracing::info!("`qpid` is connected to {product} at {peer}, {tls}");
        if config.sasl_mechanism.contains(&SaslMechanism::Plain) && peer.exposes_plain_text() {
            tracing::warn!("the password goes to {peer} in plain text: use amqps:// in `qpid.url`");
        }
        if let Some(losses) = topology.losses() {
            tracing::warn!("{losses}");
        }
    }
}

/// A session and a link on it.
async fn attach(handle: &mut ConnectionHandle<()>, site: &Site, route: &Route) -> Result<Link> {
    let Route { address, capabilities, creator, .. } = route;
    if let Some(creator) = creator {
        create(handle, site, creator).await?;
    }
    let mut target = Target::from(address.as_str());
    if !capabilities.is_empty() {
        let capabilities = capabilities.iter().copied().map(Symbol::from).collect::<Vec<_>>();
        target.capabilities = Some(Array::from(capabilities));
    }
    let mut session = Session::begin(handle).await.map_err(|error| site.begin(&error, address))?;
    match sender(target, address).attach(&mut session).await {
        Ok(sender) => Ok(Link::new(session, sender)),
        Err(error) => Err(site.attach(&error, address)),
    }
}

/// Creates a durable node by attaching to its `creator`, and leaves it alone again. One that exists,
/// or that others create, is as good.
async fn create(handle: &mut ConnectionHandle<()>, site: &Site, creator: &str) -> Result<()> {
    let mut session = Session::begin(handle).await.map_err(|error| site.begin(&error, creator))?;
    let mut target = Target::from(creator);
    target.durable = TerminusDurability::UnsettledState;
    match sender(target, creator).attach(&mut session).await {
        Ok(_) => Ok(()),
        Err(error) => site.not_created(&error, creator),
    }
}

type SenderBuilder = fe2o3_amqp::link::builder::Builder<
    fe2o3_amqp::link::role::SenderMarker,
    Target,
    fe2o3_amqp::link::builder::WithName,
    fe2o3_amqp::link::builder::WithSource,
    fe2o3_amqp::link::builder::WithTarget,
>;

fn sender(target: Target, address: &str) -> SenderBuilder {
    Sender::builder()
        // A name of its own: the broker may not have noticed yet that our last link is gone.
        .name(format!("{address}:{}", LINKS.fetch_add(1, Ordering::Relaxed)))
        .target(target)
        // Settled on sending would be called accepted.
        .sender_settle_mode(SenderSettleMode::Unsettled)
}

/// Shows nothing of the library's.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("product", &self.product)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// How many links this process has attached.
static LINKS: AtomicU64 = AtomicU64::new(0);

/// How long we wait for the broker's goodbye. The worker waits 5 s for the whole close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
