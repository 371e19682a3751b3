//! One connection to the broker, from TCP to the end of the login and to the close.
//!
//! A connection has three helpers:
//!
//! * lapin's thread, which reads and writes the socket. It ends only with the socket, so a
//!   [`ShutdownGuard`] shuts the socket down from outside when the connection is dropped, even in the
//!   middle of a call.
//! * A task that follows `connection.blocked`, `connection.unblocked` and the error of the connection.
//! * The tasks that the connection [owns](Connection::own_task), such as that of
//!   [`backlog::monitor`](crate::backlog::monitor).
//!
//! A connection serves a publisher or a source. Nothing here reconnects: its owner opens a new
//! connection.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_rs::Runtime;
use futures_core::Stream as _;
use lapin::tcp::AsyncTcpStream;
use lapin::types::LongString;
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Channel, ConnectionProperties, Event};
use notify_core::Result;
use notify_core::redact::printable;
use notify_core::transport::BrokerCounters;
use notify_net::guard::amqp091::{Amqp091Guard, FRAME_MAX, product};
use notify_net::guard::{GuardReport, GuardedStream};
use notify_net::{
    BrokerStream, Dialer, Endpoint, Host, OnceWarnings, PeerInfo, SaslMechanism, Secret,
    ShutdownGuard,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;

use crate::channel_watch::ChannelWatch;
use crate::config::virtual_host;
use crate::error::{ErrorContext, Operation};
use crate::runtime::{SilentRuntime, silence_current_thread, silently};
use crate::wire::{ConnectionRules, MessageFrames, Wire, WireWriter};

/// An open connection.
pub(crate) struct Connection {
    /// The first field, so that it is dropped first: it ends the wait of lapin's thread.
    _shutdown_guard: ShutdownGuard,
    tasks: Vec<ConnectionTask>,
    lapin: Arc<lapin::Connection>,
    /// The context of this connection's errors.
    pub(crate) context: ErrorContext,
    /// The broker's address, and TLS.
    pub(crate) peer: PeerInfo,
    /// The broker's product and version: `RabbitMQ 3.10.8`.
    pub(crate) product: String,
    /// The broker's reason while it blocks publishers.
    blocked: watch::Receiver<Option<String>>,
    /// The writer for frames that lapin must not see.
    pub(crate) writer: Arc<WireWriter>,
    /// The fate of the channel in use.
    pub(crate) watch: Arc<ChannelWatch>,
}

/// A handle of a background task. Dropping it aborts the task, so no task outlives its connection.
pub(crate) struct ConnectionTask(JoinHandle<()>);

impl Connection {
    /// Connects and logs in to the first host that accepts, within `rabbit.connect_timeout`.
    ///
    /// Reads the password and the TLS files again. `guard` checks what the broker sends. `name` is the
    /// connection's name in the broker's management tools. Errors name the options of the table that
    /// `warnings` belong to. Returns the connection, and the frames of messages on it.
    ///
    /// # Errors
    ///
    /// * [`ErrorKind::Access`](notify_core::ErrorKind::Access) if a file is unreadable.
    /// * The error of the only host, or one error with the reason of every host. It is permanent only
    ///   if every reason is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket and ends lapin's thread.
    pub(crate) async fn open<M: MessageFrames + Default + 'static>(
        endpoint: &Endpoint,
        guard: &Amqp091Guard,
        name: &str,
        warnings: &Arc<OnceWarnings>,
    ) -> Result<(Self, Arc<M>)> {
        let password = &endpoint.read_password().await?;
        let dialer = Dialer::new(endpoint).await?;
        let log_in = |stream, shutdown_guard| {
            let table = warnings.strategy();
            let login = LoginAttempt { endpoint, guard, password, name, table };
            silently(login.run(stream, shutdown_guard))
        };
        let (mut connection, messages) = dialer.open(log_in).await?;
        warnings.log_connected(&connection.peer, &connection.product, endpoint);
        connection.watch_events(warnings);
        Ok((connection, messages))
    }

    /// Returns whether the connection is open.
    pub(crate) fn is_usable(&self) -> bool {
        self.lapin.status().connected()
    }

    /// Opens a channel.
    ///
    /// Use one of its own for each request after which the broker may close the channel, such as a
    /// passive declaration of a missing queue.
    pub(crate) async fn open_channel(&self) -> Result<Channel> {
        open_channel(&self.lapin, &self.context).await
    }

    /// Returns an opener of channels for a task that the connection [owns](Self::own_task).
    pub(crate) fn channel_opener(&self) -> ChannelOpener {
        ChannelOpener { lapin: Arc::clone(&self.lapin), context: self.context.clone() }
    }

    /// Returns the broker's reason while it blocks publishers (`connection.blocked`).
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Waits until the broker takes publishes, or the channel or the connection has ended.
    pub(crate) async fn wait_for_permission(&self) {
        let mut blocked = self.blocked.clone();
        tokio::select! {
            biased;
            _ = blocked.wait_for(Option::is_none) => {}
            _ = self.watch.failure() => {}
        }
        self.watch.flowing().await;
    }

    /// Returns the negotiated limit of a frame in bytes; 0 is none.
    pub(crate) fn frame_max(&self) -> u32 {
        self.lapin.configuration().frame_max()
    }

    /// Starts the task that follows `connection.blocked`, `connection.unblocked` and the error of the
    /// connection. Call it once: lapin hands each event to one listener only.
    fn watch_events(&mut self, warnings: &Arc<OnceWarnings>) {
        let (sender, receiver) = watch::channel(None);
        self.blocked = receiver;
        let (host, warnings) = (self.context.host.clone(), Arc::clone(warnings));
        let (watch, status) = (Arc::clone(&self.watch), self.lapin.status().clone());
        let events = self.lapin.events_listener();
        self.own_task(ConnectionTask::spawn(async move {
            let mut events = pin!(events);
            while let Some(event) = poll_fn(|cx| events.as_mut().poll_next(cx)).await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        warnings.log_blocked(&host, &reason);
                        sender.send_replace(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        sender.send_replace(None);
                        warnings.log_unblocked(&host);
                    }
                    // Errors of channels are events too.
                    Event::Error(error) if !status.connected() && !error.is_amqp_soft_error() => {
                        watch.fail(error);
                    }
                    _ => {}
                }
            }
        }));
    }

    /// Counts the time for which the broker blocks publishers on this connection.
    pub(crate) fn count_blocked_time(&mut self, counters: &Arc<BrokerCounters>) {
        let (mut blocked, counters) = (self.blocked.clone(), Arc::clone(counters));
        self.own_task(ConnectionTask::spawn(async move {
            while blocked.wait_for(Option::is_some).await.is_ok() {
                let _block = counters.block();
                if blocked.wait_for(Option::is_none).await.is_err() {
                    break;
                }
            }
        }));
    }

    /// Ties a task to the life of the connection.
    pub(crate) fn own_task(&mut self, task: ConnectionTask) {
        self.tasks.push(task);
    }

    /// Closes the connection orderly, within 3 s.
    ///
    /// lapin would wait as long as the broker blocks publishers, so the connection is only dropped
    /// then.
    ///
    /// # Errors
    ///
    /// When the broker does not confirm the close. The connection is closed all the same.
    pub(crate) async fn close(self) -> Result<()> {
        if self.blocked().is_some() || !self.lapin.status().connected() {
            return Ok(());
        }
        let close = silently(self.lapin.close(200, "OK".into()));
        match timeout(CLOSE_TIMEOUT, close).await {
            Ok(Ok(())) => Ok(()),
            // lapin saw the end of the connection before the broker's answer: the connection is
            // closed all the same.
            Ok(Err(error)) if !error.is_io_error() && !error.is_amqp_error() => Ok(()),
            Ok(Err(error)) => Err(self.context.explain(&error, Operation::Declare)),
            Err(_) => {
                Err(self.context.timeout_error("did not confirm the end of the connection", None))
            }
        }
    }
}

/// An opener of channels on a connection. It does not keep the connection's socket open.
pub(crate) struct ChannelOpener {
    lapin: Arc<lapin::Connection>,
    context: ErrorContext,
}

impl ChannelOpener {
    /// Opens a channel.
    pub(crate) async fn open(&self) -> Result<Channel> {
        open_channel(&self.lapin, &self.context).await
    }

    /// Returns whether the connection is open.
    #[cfg(feature = "source")]
    pub(crate) fn is_usable(&self) -> bool {
        self.lapin.status().connected()
    }
}

/// Opens a channel.
async fn open_channel(connection: &lapin::Connection, context: &ErrorContext) -> Result<Channel> {
    silently(connection.create_channel())
        .await
        .map_err(|error| context.explain(&error, Operation::Declare))
}

/// The parameters of a login.
#[derive(Clone, Copy)]
struct LoginAttempt<'a> {
    endpoint: &'a Endpoint,
    guard: &'a Amqp091Guard,
    password: &'a Secret,
    name: &'a str,
    table: &'static str,
}

impl LoginAttempt<'_> {
    /// Logs in over a connected stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the guard, which closes the socket and ends lapin's thread.
    async fn run<M: MessageFrames + Default + 'static>(
        self,
        stream: BrokerStream,
        shutdown_guard: ShutdownGuard,
    ) -> Result<(Connection, Arc<M>)> {
        let peer = stream.peer().clone();
        let report = GuardReport::default();
        let context = ErrorContext::new(&peer.host, self.endpoint, self.table, report.clone());

        let messages = Arc::<M>::default();
        let watch = Arc::clone(messages.watch());
        let rules = ConnectionRules::new(self.guard.clone(), Arc::clone(&messages) as _);
        let stream = GuardedStream::new(stream, rules, report.clone());
        let wire = Wire::new(stream, Arc::clone(&watch));
        let writer = wire.writer();
        let wire = Mutex::new(Some(wire));
        // lapin calls this in its own thread, to get a connected stream.
        let take_stream = async move |_: AMQPUri, _: Runtime<SilentRuntime>| {
            silence_current_thread();
            let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).take();
            // A second call would be lapin's own reconnect, which this crate does not want.
            let wire =
                wire.ok_or(std::io::ErrorKind::NotConnected).map_err(std::io::Error::from)?;
            Ok(AsyncTcpStream::Plain(wire))
        };
        let runtime = Runtime::new(SilentRuntime::current());
        let lapin = lapin::Connection::connector(
            self.uri(&peer.host),
            runtime,
            take_stream,
            self.properties(),
        )
        .await
        .map_err(|error| context.explain(&error, Operation::Login))?;
        let connection = Connection {
            _shutdown_guard: shutdown_guard,
            tasks: Vec::new(),
            lapin: Arc::new(lapin),
            context,
            peer,
            product: product(report.greeting().unwrap_or_default()),
            blocked: watch::channel(None).1,
            writer,
            watch,
        };
        Ok((connection, messages))
    }

    /// Builds lapin's form of the URL without lapin's parser, which takes an IPv6 address for
    /// `localhost`. Never log the result: it contains the password.
    fn uri(&self, host: &Host) -> AMQPUri {
        AMQPUri {
            // The stream already has TLS.
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.endpoint.user.clone().unwrap_or_default(),
                    password: self.password.expose().into(),
                },
                host: host.name.clone(),
                port: host.port,
            },
            vhost: virtual_host(self.endpoint).to_owned(),
            query: AMQPQueryString {
                // Without this limit, a broker that names none makes lapin allocate 128 GiB.
                frame_max: Some(FRAME_MAX),
                channel_max: None,
                heartbeat: Some(self.endpoint.heartbeat),
                connection_timeout: None,
                auth_mechanism: self.endpoint.sasl_mechanism.first().map(
                    |mechanism| match mechanism {
                        SaslMechanism::Plain => SASLMechanism::Plain,
                        SaslMechanism::Anonymous => SASLMechanism::Anonymous,
                        SaslMechanism::External => SASLMechanism::External,
                    },
                ),
            },
        }
    }

    /// Returns the client properties that the broker's management tools show.
    fn properties(&self) -> ConnectionProperties {
        let text = |text: &str| LongString::from(text.as_bytes());
        ConnectionProperties::default()
            .with_connection_name(text(self.name))
            .with_client_property("product".into(), text(env!("CARGO_PKG_NAME")))
            .with_client_property("version".into(), text(env!("CARGO_PKG_VERSION")))
    }
}

impl ConnectionTask {
    /// Spawns a task that logs to the subscriber of the calling task.
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future.with_current_subscriber()))
    }
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns the connection's name for the broker's tools: `glance-notify:PID:PUBLISHER_ID`.
pub(crate) fn connection_name(publisher_id: Option<&str>) -> String {
    let publisher = publisher_id.unwrap_or("notifications");
    // The tools show the name in one line.
    let publisher = printable(publisher, 128);
    format!("glance-notify:{}:{publisher}", std::process::id())
}

/// Shows no value of lapin's, because they contain passwords.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("product", &self.product)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// The time for the broker to confirm a close. The worker waits 5 s for the whole close of a
/// transport.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
