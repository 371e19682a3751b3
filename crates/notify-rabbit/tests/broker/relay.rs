//! A TCP relay in front of a broker that cuts or slows down the link.
//!
//! Unlike the testbed's proxy it counts bytes, so a test can cut a connection at any byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A relay to a port of this machine. It ends with the runtime.
pub(crate) struct Relay {
    /// The port that clients connect to.
    pub(crate) port: u16,
    limits: Arc<LinkLimits>,
}

/// The limits of a link. A connection keeps the byte limits of the moment when it began.
struct LinkLimits {
    /// The number of bytes from the client after which the relay resets the connection.
    up: AtomicUsize,
    /// The number of bytes from the broker after which the relay resets the connection.
    down: AtomicUsize,
    /// The number of bytes that pass at a time.
    slice: AtomicUsize,
    /// The delay of each slice, in microseconds.
    delay: AtomicUsize,
}

impl Relay {
    /// Starts a relay without limits to the port `to`.
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let limits = Arc::new(LinkLimits {
            up: AtomicUsize::new(usize::MAX),
            down: AtomicUsize::new(usize::MAX),
            slice: AtomicUsize::new(64 * 1024),
            delay: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&limits);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, Arc::clone(&shared)));
            }
        });
        Self { port, limits }
    }

    /// Resets each new connection after `up` bytes from the client or `down` bytes from the broker.
    pub(crate) fn cut_after(&self, up: usize, down: usize) {
        self.limits.up.store(up, Ordering::Relaxed);
        self.limits.down.store(down, Ordering::Relaxed);
    }

    /// Passes `slice` bytes at a time, each after `delay`.
    pub(crate) fn slow_down(&self, slice: usize, delay: Duration) {
        self.limits.slice.store(slice, Ordering::Relaxed);
        let delay = usize::try_from(delay.as_micros()).unwrap_or(usize::MAX);
        self.limits.delay.store(delay, Ordering::Relaxed);
    }
}

/// Relays one connection until a side or a limit ends it.
async fn relay(client: TcpStream, to: u16, limits: Arc<LinkLimits>) {
    let Ok(broker) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    for socket in [&client, &broker] {
        socket.set_nodelay(true).unwrap_or_default();
        // Dropping such a socket sends a reset.
        #[expect(deprecated, reason = "a linger time of zero does not block")]
        socket.set_linger(Some(Duration::ZERO)).unwrap_or_default();
    }
    let (up, down) = (limits.up.load(Ordering::Relaxed), limits.down.load(Ordering::Relaxed));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    tokio::select! {
        () = copy(&mut from_client, &mut to_broker, up, &limits) => {}
        () = copy(&mut from_broker, &mut to_client, down, &limits) => {}
    }
}

/// Copies bytes until the end of the stream, or until `remaining` bytes have passed, slice by slice.
async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut remaining: usize,
    limits: &LinkLimits,
) {
    let mut buffer = vec![0; 64 * 1024];
    while remaining > 0 {
        let limit = remaining.min(buffer.len());
        let Ok(read @ 1..) = from.read(&mut buffer[..limit]).await else { return };
        remaining -= read;
        for slice in buffer[..read].chunks(limits.slice.load(Ordering::Relaxed)) {
            let delay = limits.delay.load(Ordering::Relaxed);
            if delay > 0 {
                tokio::time::sleep(Duration::from_micros(delay as u64)).await;
            }
            if to.write_all(slice).await.is_err() {
                return;
            }
        }
    }
}
