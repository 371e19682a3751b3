//! The stream that a client library gets: a broker's stream behind a guard.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::guard::frame_buffer::FrameBuffer;
use crate::guard::report::GuardReport;
use crate::guard::rules::FrameRules;
use crate::stream::BrokerStream;

/// A connected stream that passes on only harmless frames of the peer. It changes no byte that it
/// writes.
///
/// A read fails with [`io::ErrorKind::InvalidData`] around the crate's own error at the first frame that
/// must not pass. [`GuardReport::violation`] holds the same error, because a client library may hide
/// it.
#[derive(Debug)]
pub struct GuardedStream<R> {
    stream: BrokerStream,
    frames: FrameBuffer<R>,
    report: GuardReport,
    /// The time for the client library to handle the frames before the harmful one.
    pause: Pin<Box<Sleep>>,
}

impl<R: FrameRules> GuardedStream<R> {
    /// Puts the guard of `rules` in front of `stream`. `report` tells what it learns.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. The stream itself may be used from any thread.
    pub fn new(stream: BrokerStream, rules: R, report: GuardReport) -> Self {
        let frames = FrameBuffer::new(rules, report.clone());
        Self { stream, frames, report, pause: Box::pin(sleep(PAUSE)) }
    }
}

impl<R: FrameRules> AsyncRead for GuardedStream<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, frames, report, pause } = self.get_mut();
        let mut reads = 0;
        while frames.checked().is_empty() {
            if let Some(error) = report.violation() {
                // lapin forgets the frames that it has read, but not handled, when a read fails.
                ready!(pause.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            if reads == MAX_READS {
                // A peer that always sends, but nothing that passes, must not keep the caller here.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            reads += 1;
            let mut chunk = [0; CHUNK_BYTES];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Err(violation) = frames.push(read.filled()) {
                // The client library first gets the frames before the harmful one: they may be confirms.
                report.record_violation(&violation.into_error(&stream.peer().host.to_string()));
                pause.as_mut().reset(Instant::now() + PAUSE);
            }
        }
        let length = frames.checked().len().min(out.remaining());
        out.put_slice(&frames.checked()[..length]);
        frames.consume(length);
        Poll::Ready(Ok(()))
    }
}

impl<R: FrameRules> AsyncWrite for GuardedStream<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The bytes of one read from the socket.
const CHUNK_BYTES: usize = 8 * 1024;
/// The number of reads in one call.
const MAX_READS: usize = 16;
/// The time between the last frame that passes and the error of the next one.
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::guard::amqp091::Amqp091Guard;
    use crate::host::Host;
    use crate::peer::PeerInfo;

    /// A message whose body never ends.
    #[derive(Debug)]
    struct EndlessBody(bool);

    impl AsyncRead for EndlessBody {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if std::mem::replace(&mut self.0, true) {
                let frame = [&[3, 0, 1, 0, 0, 0, 8][..], &[0; 8], &[0xce]].concat();
                out.put_slice(&frame);
            } else {
                // The header of a message that is much too large.
                let header = [&[2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0][..], &[0x7f; 8], &[0, 0, 0xce]];
                out.put_slice(&header.concat());
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for EndlessBody {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A read ends, although the peer goes on to send bytes that must not pass.
    #[tokio::test]
    async fn a_read_ends_without_anything_to_pass() {
        let peer = PeerInfo {
            host: Host { name: "broker".into(), port: 5672 },
            address: ([127, 0, 0, 1], 5672).into(),
            tls: None,
        };
        let stream = BrokerStream::new(Box::new(EndlessBody(false)), peer);
        let mut guarded =
            GuardedStream::new(stream, Amqp091Guard::receiver(100), GuardReport::default());
        let mut bytes = [0; 1_000];
        let mut read = |guarded: &mut GuardedStream<_>| {
            let mut out = ReadBuf::new(&mut bytes);
            let polled =
                Pin::new(guarded).poll_read(&mut Context::from_waker(Waker::noop()), &mut out);
            polled.is_ready()
        };
        assert!(read(&mut guarded), "the marked header passes");
        assert!(!read(&mut guarded));
    }
}
