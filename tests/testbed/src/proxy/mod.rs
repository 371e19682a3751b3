//! A TCP proxy on 127.0.0.1 that simulates a failing network.
//!
//! The proxy runs on a thread of its own, so it works while the test blocks. It keeps its own time,
//! so it also works while the test pauses the clock of its runtime.
//!
//! ```
//! use notify_testbed::proxy::{Direction, Disconnect, Proxy};
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let proxy = Proxy::start(server.local_addr().unwrap().port());
//! // … connect to proxy.port() …
//! proxy.cut_after(Direction::ToServer, 100, Disconnect::Reset);
//! proxy.heal();
//! ```

mod counters;
mod relay;
mod rules;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;

use counters::ProxyCounters;
pub use rules::{Direction, Disconnect};
use rules::{DirectionRules, ProxyRules};

use crate::ports::free_port;
use crate::wait::wait_until;

/// A proxy in front of a server on this machine. Its rules apply to open and to new connections
/// until [`heal`](Self::heal).
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    rules: watch::Sender<ProxyRules>,
    counters: Arc<ProxyCounters>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy on a free port of 127.0.0.1, in front of the port `server` of 127.0.0.1. The
    /// server may start later.
    pub fn start(server: u16) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, server)
    }

    /// Starts a proxy that listens on another `address` of this machine, for clients in a network
    /// namespace.
    pub fn start_at(address: Ipv4Addr, server: u16) -> Self {
        let port = free_port();
        let (sender, receiver) = watch::channel(ProxyRules::default());
        let counters = Arc::<ProxyCounters>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(listen((address, port))).unwrap();
        let thread = {
            let counters = Arc::clone(&counters);
            thread::spawn(move || runtime.block_on(serve(listener, server, receiver, counters)))
        };
        Self { port, rules: sender, counters, thread: Some(thread) }
    }

    /// Returns the port for clients. It is a port of 127.0.0.1, unless
    /// [`start_at`](Self::start_at) got another address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every open connection. New connections pass.
    pub fn cut(&self, disconnect: Disconnect) {
        self.change_rules(|rules| rules.cut = (rules.cut.0 + 1, disconnect));
    }

    /// Cuts every connection as soon as it has forwarded `bytes` in `direction` since it began; a
    /// connection that has forwarded more ends at once. 0 cuts before the first byte.
    pub fn cut_after(&self, direction: Direction, bytes: u64, disconnect: Disconnect) {
        self.change_direction(direction, |rules| rules.limit = Some((bytes, disconnect)));
    }

    /// Holds all bytes of `direction` back. Connections stay open.
    pub fn stall(&self, direction: Direction) {
        self.change_direction(direction, |rules| rules.stalled = true);
    }

    /// Forwards the bytes again that [`stall`](Self::stall) held back.
    pub fn resume(&self, direction: Direction) {
        self.change_direction(direction, |rules| rules.stalled = false);
    }

    /// Forwards at most `bytes` at a time.
    ///
    /// # Panics
    ///
    /// Panics if `bytes` is 0.
    pub fn slice(&self, direction: Direction, bytes: usize) {
        assert!(bytes > 0, "a slice must hold at least 1 byte");
        self.change_direction(direction, |rules| rules.slice = Some(bytes));
    }

    /// Waits for `time` before each piece that it forwards.
    pub fn delay(&self, direction: Direction, time: Duration) {
        self.change_direction(direction, |rules| rules.delay = time);
    }

    /// Sends FIN to the receiver of `direction` and discards all further bytes. The other direction
    /// stays open.
    pub fn half_close(&self, direction: Direction) {
        self.change_direction(direction, |rules| rules.closed = true);
    }

    /// Refuses new connections, as a port without a listener does. Returns when the port is closed.
    pub fn refuse(&self) {
        self.change_rules(|rules| rules.refusing = true);
        self.wait_until_listening(false);
    }

    /// Accepts new connections again. Returns when the port is open.
    pub fn accept(&self) {
        self.change_rules(|rules| rules.refusing = false);
        self.wait_until_listening(true);
    }

    /// Removes all rules. Connections that a rule has cut or half closed stay so.
    pub fn heal(&self) {
        self.change_rules(|rules| *rules = ProxyRules { cut: rules.cut, ..ProxyRules::default() });
        self.wait_until_listening(true);
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> u64 {
        self.counters.open.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that the proxy has accepted so far.
    pub fn accepted_connections(&self) -> u64 {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// Returns the number of bytes that the proxy has forwarded in `direction` so far, on all
    /// connections.
    pub fn forwarded_bytes(&self, direction: Direction) -> u64 {
        self.counters.directions[direction.index()].bytes.load(Ordering::SeqCst)
    }

    /// Returns the number of pieces in which the proxy forwarded those bytes.
    pub fn forwarded_pieces(&self, direction: Direction) -> u64 {
        self.counters.directions[direction.index()].pieces.load(Ordering::SeqCst)
    }

    fn change_rules(&self, change: impl FnOnce(&mut ProxyRules)) {
        self.rules.send_modify(change);
    }

    fn change_direction(&self, direction: Direction, change: impl FnOnce(&mut DirectionRules)) {
        self.change_rules(|rules| change(&mut rules.directions[direction.index()]));
    }

    fn wait_until_listening(&self, listening: bool) {
        wait_until("the proxy opens or closes its port", || {
            (self.counters.listening.load(Ordering::SeqCst) == 1) == listening
        });
    }
}

impl Drop for Proxy {
    /// Closes the connections and frees the port.
    fn drop(&mut self) {
        self.change_rules(|rules| rules.stopped = true);
        if let Some(thread) = self.thread.take() {
            // If the thread has panicked, it has printed the reason.
            let _ = thread.join();
        }
    }
}

/// Accepts connections until the proxy stops. Dropping the relay tasks then closes the open ones.
async fn serve(
    listener: TcpListener,
    server: u16,
    mut rules: watch::Receiver<ProxyRules>,
    counters: Arc<ProxyCounters>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut relays = JoinSet::new();
    loop {
        let (refusing, stopped) = {
            let rules = rules.borrow_and_update();
            (rules.refusing, rules.stopped)
        };
        if stopped {
            return;
        }
        match (&listener, refusing) {
            (Some(_), true) => listener = None,
            (None, false) => listener = Some(listen(address).await.unwrap()),
            _ => {}
        }
        counters.listening.store(u64::from(listener.is_some()), Ordering::SeqCst);

        tokio::select! {
            _ = rules.changed() => {}
            Some(_) = relays.join_next() => {}
            Ok((client, _)) = accept(listener.as_ref()) => {
                counters.accepted.fetch_add(1, Ordering::SeqCst);
                relays.spawn(relay::run(client, server, rules.clone(), Arc::clone(&counters)));
            }
        }
    }
}

/// Accepts one connection. Without a listener, waits until the caller drops the future.
async fn accept(
    listener: Option<&TcpListener>,
) -> std::io::Result<(tokio::net::TcpStream, std::net::SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn listen(address: impl ToSocketAddrs) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
