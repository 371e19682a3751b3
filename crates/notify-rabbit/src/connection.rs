//! One connection to the broker, from the first packet to the last.
//!
//! lapin holds the socket in a thread of its own, which ends only when the socket does. So whatever
//! happens to us, dropped in the middle included, the socket is shut down from outside.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_rs::Runtime;
use futures_core::Stream as _;
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::AsyncTcpStream;
use lapin::types::LongString;
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Channel, ConnectionProperties, Event};
use notify_core::redact::printable;
use notify_core::{Error, Result};
use notify_net::{Failover, Host, PeerInfo, Secret, ShutdownGuard, TlsConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::instrument::WithSubscriber;

use crate::config::{Config, SaslMechanism};
use crate::error::{Doing, Site};
use crate::runtime::{Quiet, quietly, silence_this_thread};
use crate::wire::{FRAME_MAX, Product, Wire};

/// A connection that is logged in, with one channel in confirm mode.
pub(crate) struct Connection {
    /// First, so that it is dropped first: what lapin's thread waits for is over then.
    _shutdown_guard: ShutdownGuard,
    tasks: Vec<Task>,
    lapin: Arc<lapin::Connection>,
    /// Owned by the one task that publishes: shared, lapin counts confirms wrongly.
    pub(crate) channel: Channel,
    pub(crate) site: Site,
    pub(crate) peer: PeerInfo,
    pub(crate) product: String,
    /// Why the broker takes nothing, while it does not.
    blocked: watch::Receiver<Option<String>>,
    /// Whether it has confirmed something.
    pub(crate) proven: bool,
}

/// What outlives a single connection: what the operator was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    blocked: AtomicBool,
    plain_text: AtomicBool,
}

/// A task that ends with its owner.
pub(crate) struct Task(JoinHandle<()>);

impl Connection {
    /// Asks one host after the other until one lets us in, within `rabbit.connect_timeout`.
    ///
    /// Password, authorities and certificates are read anew.
    pub(crate) async fn open(config: &Config, name: &str, told: &Arc<Told>) -> Result<Self> {
        let password = match config.sasl_mechanism {
            SaslMechanism::Plain => config.password.read().await?,
            SaslMechanism::External => Secret::new(""),
        };
        let tls = match &config.tls {
            Some(files) => Some(files.load().await?),
            None => None,
        };
        let mut failover = Failover::new(&config.hosts, config.connect_timeout);
        while let Some((host, deadline)) = failover.next() {
            let log_in = LogIn { config, host, password: &password, tls: tls.as_ref(), name };
            match timeout_at(deadline, quietly(log_in.run(deadline))).await {
                Ok(Ok(mut connection)) => {
                    told.connected(&connection, config);
                    connection.listen(told);
                    return Ok(connection);
                }
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
        self.lapin.status().connected() && self.channel.status().connected()
    }

    /// Another channel on the same connection, for what may end it.
    pub(crate) async fn another_channel(&self) -> Result<Channel> {
        open_channel(&self.lapin, &self.site).await
    }

    /// Opens channels, for a task that is [kept](Self::keep).
    pub(crate) fn channels(&self) -> Channels {
        Channels { lapin: Arc::clone(&self.lapin), site: self.site.clone() }
    }

    /// Replaces the channel that publishes by a fresh one. Nothing may be unconfirmed on it.
    pub(crate) async fn renew_channel(&mut self, config: &Config) -> Result<()> {
        let fresh = quietly(confirming_channel(&self.lapin, &self.site));
        match timeout(config.connect_timeout, fresh).await {
            Ok(channel) => {
                self.channel = channel?;
                Ok(())
            }
            Err(_) => Err(self.site.late("did not open a channel", self.blocked().as_deref())),
        }
    }

    /// Why the broker takes nothing now, if it says so.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Listens to what the broker says of itself. Once: lapin hands each event to one listener only.
    fn listen(&mut self, told: &Arc<Told>) {
        let (block, blocked) = watch::channel(None);
        self.blocked = blocked;
        let (host, told) = (self.site.host.clone(), Arc::clone(told));
        let events = self.lapin.events_listener();
        self.keep(Task::spawn(async move {
            let mut events = pin!(events);
            while let Some(event) = poll_fn(|cx| events.as_mut().poll_next(cx)).await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        told.begins_to_block(&host, &reason);
                        block.send_replace(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        block.send_replace(None);
                        told.takes_again(&host);
                    }
                    _ => {}
                }
            }
        }));
    }

    /// Keeps a task for as long as the connection.
    pub(crate) fn keep(&mut self, task: Task) {
        self.tasks.push(task);
    }

    /// Says goodbye to the broker.
    pub(crate) async fn close(self) -> Result<()> {
        if self.blocked().is_some() || !self.lapin.status().connected() {
            // lapin would wait for as long as the broker blocks us.
            return Ok(());
        }
        let goodbye = quietly(self.lapin.close(200, "OK".into()));
        match timeout(CLOSE_TIMEOUT, goodbye).await {
            Ok(Ok(())) => Ok(()),
            // What we wanted: lapin answers with a state of its own if it sees the end first.
            Ok(Err(error)) if !error.is_io_error() && !error.is_amqp_error() => Ok(()),
            Ok(Err(error)) => Err(self.site.explain(&error, Doing::Publish)),
            Err(_) => Err(self.site.late("did not answer our goodbye", None)),
        }
    }
}

/// Opens channels on a connection, without holding on to its socket.
pub(crate) struct Channels {
    lapin: Arc<lapin::Connection>,
    site: Site,
}

impl Channels {
    pub(crate) async fn open(&self) -> Result<Channel> {
        open_channel(&self.lapin, &self.site).await
    }
}

async fn open_channel(connection: &lapin::Connection, site: &Site) -> Result<Channel> {
    quietly(connection.create_channel()).await.map_err(|error| site.explain(&error, Doing::Declare))
}

async fn confirming_channel(connection: &lapin::Connection, site: &Site) -> Result<Channel> {
    let channel = open_channel(connection, site).await?;
    match channel.confirm_select(ConfirmSelectOptions::default()).await {
        Ok(()) => Ok(channel),
        Err(error) => Err(site.explain(&error, Doing::Declare)),
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
    /// As long as a silent peer is waited for while nothing is written.
    fn user_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.heartbeat) * 2)
    }

    /// The error, or what it may hide.
    async fn diagnose_disconnect(&self, error: Error, deadline: Instant) -> Error {
        notify_net::diagnose_disconnect(error, self.host, self.tls, self.user_timeout(), deadline)
            .await
    }

    async fn run(&self, deadline: Instant) -> Result<Connection> {
        let (stream, shutdown_guard) =
            notify_net::connect(self.host, self.tls, self.user_timeout(), deadline).await?;
        let site = Site::new(self.host, self.config);
        let peer = stream.peer().clone();
        let product = Product::default();

        let wire = Mutex::new(Some(Wire::new(stream, Arc::clone(&product))));
        let hand_over = async move |_: AMQPUri, _: Runtime<Quiet>| {
            silence_this_thread();
            let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).take();
            // There is no second connection: connecting anew is ours to do.
            let wire =
                wire.ok_or(std::io::ErrorKind::NotConnected).map_err(std::io::Error::from)?;
            Ok(AsyncTcpStream::Plain(wire))
        };
        let runtime = Runtime::new(Quiet::current());
        let lapin = lapin::Connection::connector(self.uri(), runtime, hand_over, self.properties())
            .await
            .map_err(|error| site.explain(&error, Doing::LogIn))?;
        let channel = confirming_channel(&lapin, &site).await?;
        Ok(Connection {
            _shutdown_guard: shutdown_guard,
            tasks: Vec::new(),
            lapin: Arc::new(lapin),
            channel,
            site,
            peer,
            product: product.get().cloned().unwrap_or_default(),
            blocked: watch::channel(None).1,
            proven: false,
        })
    }

    /// Built by hand: lapin's own parser takes an IPv6 address for `localhost`. Whatever prints it
    /// prints the password.
    fn uri(&self) -> AMQPUri {
        AMQPUri {
            // The stream that we hand over is past TLS.
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.config.user.clone(),
                    password: self.password.expose().into(),
                },
                host: self.host.name.clone(),
                port: self.host.port,
            },
            vhost: self.config.virtual_host.clone(),
            query: AMQPQueryString {
                // Without it a broker that names no limit makes lapin allocate 128 GiB.
                frame_max: Some(FRAME_MAX),
                channel_max: None,
                heartbeat: Some(self.config.heartbeat),
                connection_timeout: None,
                auth_mechanism: Some(match self.config.sasl_mechanism {
                    SaslMechanism::Plain => SASLMechanism::Plain,
                    SaslMechanism::External => SASLMechanism::External,
                }),
            },
        }
    }

    fn properties(&self) -> ConnectionProperties {
        let text = |text: &str| LongString::from(text.as_bytes());
        ConnectionProperties::default()
            .with_connection_name(text(self.name))
            .with_client_property("product".into(), text(env!("CARGO_PKG_NAME")))
            .with_client_property("version".into(), text(env!("CARGO_PKG_VERSION")))
    }
}

impl Told {
    fn connected(&self, connection: &Connection, config: &Config) {
        let Connection { peer, product, .. } = connection;
        let tls = peer.tls.as_deref().unwrap_or("no TLS");
        tracing::info!("`rabbit` is connected to {product} at {peer}, {tls}");
        if config.sasl_mechanism == SaslMechanism::Plain
            && peer.exposes_plain_text()
            && !self.plain_text.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the password goes to {peer} in plain text: use amqps:// in `rabbit.url`"
            );
        }
    }

    fn begins_to_block(&self, host: &Host, reason: &str) {
        if !self.blocked.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{host} blocks publishers until it has memory and disk again: {}",
                printable(reason, 255)
            );
        }
    }

    /// Said by the broker, or seen by a confirm: a connection that was given up is not told.
    pub(crate) fn takes_again(&self, host: &Host) {
        if self.blocked.swap(false, Ordering::Relaxed) {
            tracing::info!("{host} takes messages again");
        }
    }
}

impl Task {
    /// It logs where its spawner does.
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future.with_current_subscriber()))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows nothing of lapin's, which prints passwords.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("product", &self.product)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// How long we wait for the broker's goodbye. The worker waits 5 s for the whole close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
