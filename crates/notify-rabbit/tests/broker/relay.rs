//! A TCP relay in front of a broker, for links that are cut, slow, or silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A relay to a port of this machine. It ends with the runtime.
pub(crate) struct Relay {
    pub(crate) port: u16,
    limits: Arc<Limits>,
}

/// What passes, for each connection from the moment it is made.
struct Limits {
    /// Bytes from the client after which the connection is reset.
    up: AtomicUsize,
    /// Bytes from the broker after which the connection is reset.
    down: AtomicUsize,
    /// How many bytes go on at a time.
    slice: AtomicUsize,
    /// Microseconds that each slice waits.
    delay: AtomicUsize,
}

impl Relay {
    /// A relay that lets everything pass.
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let limits = Arc::new(Limits {
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

    /// Resets each new connection after so many bytes from the client, and from the broker.
    pub(crate) fn cut_after(&self, up: usize, down: usize) {
        self.limits.up.store(up, Ordering::Relaxed);
        self.limits.down.store(down, Ordering::Relaxed);
    }

    /// Passes so many bytes at a time, each after so long.
    pub(crate) fn slow(&self, slice: usize, delay: Duration) {
        self.limits.slice.store(slice, Ordering::Relaxed);
        let delay = usize::try_from(delay.as_micros()).unwrap_or(usize::MAX);
        self.limits.delay.store(delay, Ordering::Relaxed);
    }
}

async fn relay(client: TcpStream, to: u16, limits: Arc<Limits>) {
    let Ok(broker) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    for socket in [&client, &broker] {
        socket.set_nodelay(true).unwrap_or_default();
        // So that dropping it sends a reset.
        #[expect(deprecated, reason = "lingering for no time does not block")]
        socket.set_linger(Some(Duration::ZERO)).unwrap_or_default();
    }
    let (up, down) = (limits.up.load(Ordering::Relaxed), limits.down.load(Ordering::Relaxed));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    tokio::select! {
        () = pass(&mut from_client, &mut to_broker, up, &limits) => {}
        () = pass(&mut from_broker, &mut to_client, down, &limits) => {}
    }
}

/// Passes bytes on until the end, or until `left` of them have passed.
async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut left: usize,
    limits: &Limits,
) {
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let most = left.min(buffer.len());
        let Ok(read @ 1..) = from.read(&mut buffer[..most]).await else { return };
        left -= read;
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
