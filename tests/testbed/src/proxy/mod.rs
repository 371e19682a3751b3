//! A network that can be made to fail: a TCP relay on 127.0.0.1 that does as it is told.
//!
//! It runs on a thread of its own, so it goes on whatever the test blocks, and it keeps its own time,
//! so it does not mind when the test's is paused.
//!
//! ```
//! use notify_testbed::proxy::{Cut, Proxy, Way};
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let proxy = Proxy::start(server.local_addr().unwrap().port());
//! // … connect to proxy.port() …
//! proxy.cut_after(Way::ToServer, 100, Cut::Reset);
//! proxy.heal();
//! ```

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test that uses it")]

mod relay;
mod rules;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use rules::{Cut, Way};
use rules::{Lane, Rules};

use crate::broker::{free_port, wait_until};

/// A relay to a server on this machine. What it was told holds for the connections that it has and
/// for those to come, until [`heal`](Self::heal).
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    rules: watch::Sender<Rules>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a port of its own and relays to `server`, a port of 127.0.0.1 at which somebody
    /// listens, or will.
    pub fn start(server: u16) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, server)
    }

    /// As [`start`](Self::start), for clients that come by another address of this machine: from a
    /// network namespace.
    pub fn start_at(address: Ipv4Addr, server: u16) -> Self {
        let port = free_port();
        let (rules, told) = watch::channel(Rules::default());
        let counts = Arc::<Counts>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(listen((address, port))).unwrap();
        let thread = {
            let counts = Arc::clone(&counts);
            thread::spawn(move || runtime.block_on(serve(listener, server, told, counts)))
        };
        Self { port, rules, counts, thread: Some(thread) }
    }

    /// The port for clients, on 127.0.0.1 where no other address was given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection that there is now. New ones are let through.
    pub fn cut(&self, how: Cut) {
        self.tell(|rules| rules.cut = (rules.cut.0 + 1, how));
    }

    /// Cuts every connection as soon as so many bytes have gone that way since it began; those that
    /// had more are cut at once. 0 cuts before the first.
    pub fn cut_after(&self, way: Way, bytes: u64, how: Cut) {
        self.tell_lane(way, |lane| lane.limit = Some((bytes, how)));
    }

    /// Lets nothing through that way. Connections stay open.
    pub fn stall(&self, way: Way) {
        self.tell_lane(way, |lane| lane.stalled = true);
    }

    /// Lets everything through again that was [stalled](Self::stall).
    pub fn resume(&self, way: Way) {
        self.tell_lane(way, |lane| lane.stalled = false);
    }

    /// Passes on at most so many bytes at a time.
    pub fn slice(&self, way: Way, bytes: usize) {
        assert!(bytes > 0, "a slice of nothing never ends");
        self.tell_lane(way, |lane| lane.slice = Some(bytes));
    }

    /// Waits so long before each piece that it passes on.
    pub fn delay(&self, way: Way, time: Duration) {
        self.tell_lane(way, |lane| lane.delay = time);
    }

    /// Tells the far end of that way that nothing more will come (FIN), and drops what does. The
    /// other way stays open.
    pub fn half_close(&self, way: Way) {
        self.tell_lane(way, |lane| lane.closed = true);
    }

    /// Refuses new connections, as a port at which nobody listens. When this returns, it does.
    pub fn refuse(&self) {
        self.tell(|rules| rules.refusing = true);
        self.wait_until_listening(false);
    }

    /// Takes new connections again. When this returns, it does.
    pub fn accept(&self) {
        self.tell(|rules| rules.refusing = false);
        self.wait_until_listening(true);
    }

    /// Forgets what it was told. What was cut or half closed stays so.
    pub fn heal(&self) {
        self.tell(|rules| *rules = Rules { cut: rules.cut, ..Rules::default() });
        self.wait_until_listening(true);
    }

    /// Connections that are open now.
    pub fn connections(&self) -> u64 {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Connections that were taken so far.
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Bytes that were passed on that way so far, on all connections.
    pub fn forwarded(&self, way: Way) -> u64 {
        self.counts.lanes[way.index()].bytes.load(Ordering::SeqCst)
    }

    /// Pieces in which they were passed on.
    pub fn pieces(&self, way: Way) -> u64 {
        self.counts.lanes[way.index()].pieces.load(Ordering::SeqCst)
    }

    fn tell(&self, change: impl FnOnce(&mut Rules)) {
        self.rules.send_modify(change);
    }

    fn tell_lane(&self, way: Way, change: impl FnOnce(&mut Lane)) {
        self.tell(|rules| change(&mut rules.lanes[way.index()]));
    }

    fn wait_until_listening(&self, listening: bool) {
        wait_until("the proxy does as it was told", || {
            (self.counts.listening.load(Ordering::SeqCst) == 1) == listening
        });
    }
}

impl Drop for Proxy {
    /// Closes its connections and frees its port.
    fn drop(&mut self) {
        self.tell(|rules| rules.over = true);
        if let Some(thread) = self.thread.take() {
            // It has panicked already, and said why.
            let _ = thread.join();
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    listening: AtomicU64,
    accepted: AtomicU64,
    open: AtomicU64,
    lanes: [LaneCounts; 2],
}

#[derive(Debug, Default)]
struct LaneCounts {
    bytes: AtomicU64,
    pieces: AtomicU64,
}

/// Takes connections until it is over. Whatever is open then ends with the tasks that hold it.
async fn serve(
    listener: TcpListener,
    server: u16,
    mut told: watch::Receiver<Rules>,
    counts: Arc<Counts>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut relays = JoinSet::new();
    loop {
        let (refusing, over) = {
            let rules = told.borrow_and_update();
            (rules.refusing, rules.over)
        };
        if over {
            return;
        }
        match (&listener, refusing) {
            (Some(_), true) => listener = None,
            (None, false) => listener = Some(listen(address).await.unwrap()),
            _ => {}
        }
        counts.listening.store(u64::from(listener.is_some()), Ordering::SeqCst);

        tokio::select! {
            _ = told.changed() => {}
            Some(_) = relays.join_next() => {}
            Ok((client, _)) = accept(listener.as_ref()) => {
                counts.accepted.fetch_add(1, Ordering::SeqCst);
                relays.spawn(relay::run(client, server, told.clone(), Arc::clone(&counts)));
            }
        }
    }
}

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
