//! A connected stream to a broker, with or without TLS, and a guard that ends it from outside.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::PeerInfo;

/// A connected stream to a broker.
///
/// [`Dialer`](crate::Dialer) opens it together with a [`ShutdownGuard`]. The stream hides whether TLS
/// is in use; [`peer`](Self::peer) tells.
#[derive(Debug)]
pub struct BrokerStream {
    io: Box<dyn ByteStream>,
    peer: PeerInfo,
    /// Whether the broker has sent a byte. The dialer holds a clone.
    has_received: Arc<AtomicBool>,
}

/// Shuts a connection down when it is dropped, whichever task or thread reads and writes it.
///
/// A client library may own the stream in a thread of its own and wait there for a broker that never
/// answers. Dropping the guard ends that wait: reads return the end of the stream, writes fail.
#[derive(Debug)]
pub struct ShutdownGuard(std::net::TcpStream);

/// An asynchronous stream of bytes in both directions.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> ByteStream for T {}

impl BrokerStream {
    /// Creates a stream over `io`, which is connected to `peer`.
    pub(crate) fn new(io: Box<dyn ByteStream>, peer: PeerInfo) -> Self {
        Self { io, peer, has_received: Arc::default() }
    }

    /// Returns the flag that is set once the broker has sent a byte.
    pub(crate) fn has_received(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_received)
    }

    /// Returns the broker at the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }
}

impl ShutdownGuard {
    /// Creates a guard from a second handle of the connection's socket.
    pub(crate) fn new(socket: std::net::TcpStream) -> Self {
        Self(socket)
    }
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        // The socket may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl AsyncRead for BrokerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, has_received, .. } = self.get_mut();
        let filled = buf.filled().len();
        let result = Pin::new(io).poll_read(cx, buf);
        if buf.filled().len() > filled && !has_received.load(Ordering::Relaxed) {
            has_received.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for BrokerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
