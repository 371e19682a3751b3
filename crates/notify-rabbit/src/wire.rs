//! The stream that lapin gets: the guarded stream of notify-net, with the traits that lapin expects.
//!
//! This module changes no byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use notify_net::guard::GuardedStream;
use notify_net::guard::amqp091::Amqp091Guard;
use tokio::io::ReadBuf;

/// A connected stream for lapin. It passes on only harmless frames.
#[derive(Debug)]
pub(crate) struct Wire(pub(crate) GuardedStream<Amqp091Guard>);

impl futures_io::AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut out = ReadBuf::new(out);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.get_mut().0), cx, &mut out))?;
        Poll::Ready(Ok(out.filled().len()))
    }
}

impl futures_io::AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.get_mut().0), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().0), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().0), cx)
    }
}
