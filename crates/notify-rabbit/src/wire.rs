//! The connected stream: shared by lapin, which speaks AMQP over it, and by a publisher or a source.
//!
//! ```text
//!             ┌─ confirms and returned messages ─► PublishAnswers ─► publisher
//!             ├─ deliveries ─────────────────────► Deliveries ─────► source
//! broker ──► guard
//!             └─ everything else ──► Wire ──► lapin
//!
//! publisher or source ─► FrameWriter ──► broker
//!              lapin ────► ───┘
//! ```
//!
//! lapin opens, watches and closes the connection and its channels. It sees no message: with it, messages
//! take twice as much processor time. `docs/performance.md` has the measurements.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::constants::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD};
use amq_protocol::protocol::{AMQPClass, basic};
use notify_net::guard::amqp091::Amqp091Guard;
use notify_net::guard::{FrameRules, GuardReport, GuardedStream, Passage, Violation};
use tokio::io::{AsyncRead as _, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};

use crate::channel_watch::ChannelWatch;
use crate::frame_writer::FrameWriter;

/// The stream for lapin. It passes on only harmless frames, and no messages.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: ReadHalf<GuardedStream<ConnectionRules>>,
    writer: Arc<WireWriter>,
}

/// The writer that lapin shares.
pub(crate) type WireWriter = FrameWriter<WriteHalf<GuardedStream<ConnectionRules>>>;

/// The rules of a connection: those of its guard, and where its messages go.
#[derive(Debug)]
pub(crate) struct ConnectionRules {
    guard: Amqp091Guard,
    messages: Arc<dyn MessageFrames>,
    /// The time at which lapin last saw that the broker is alive.
    alive_at: Instant,
}

/// The receiver of the frames of messages, which lapin must not see.
pub(crate) trait MessageFrames: fmt::Debug + Send + Sync {
    /// Takes a frame that the guard has checked, if it belongs to a message. Otherwise it goes to lapin.
    ///
    /// # Errors
    ///
    /// A violation that ends the connection.
    fn take(&self, frame: &[u8]) -> Result<bool, Violation> {
        let [kind, high, low, ..] = *frame else { return Ok(false) };
        let channel = u16::from_be_bytes([high, low]);
        match kind {
            FRAME_HEADER | FRAME_BODY => self.take_content(channel, frame).map(|()| true),
            FRAME_METHOD => match parse_frame(frame) {
                Ok((_, AMQPFrame::Method(_, AMQPClass::Basic(method)))) => {
                    self.take_method(channel, method)
                }
                Ok((_, AMQPFrame::Method(_, method))) => {
                    self.watch().record(channel, method);
                    Ok(false)
                }
                // lapin reports a malformed frame.
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// Takes a method of the class `basic`. Returns whether lapin must not see it.
    ///
    /// # Errors
    ///
    /// A violation that ends the connection.
    fn take_method(&self, channel: u16, method: basic::AMQPMethod) -> Result<bool, Violation>;

    /// Takes a part of a message's content: its header, or a part of its body.
    ///
    /// # Errors
    ///
    /// A violation that ends the connection.
    fn take_content(&self, channel: u16, frame: &[u8]) -> Result<(), Violation>;

    /// Returns the watch of the channel that is in use.
    fn watch(&self) -> &Arc<ChannelWatch>;
}

impl Wire {
    /// Shares `stream` with lapin. `watch` belongs to the other user.
    pub(crate) fn new(stream: GuardedStream<ConnectionRules>, watch: Arc<ChannelWatch>) -> Self {
        let (stream, output) = split(stream);
        Self { stream, writer: Arc::new(FrameWriter::new(output, watch)) }
    }

    /// Returns the writer for the other user.
    pub(crate) fn writer(&self) -> Arc<WireWriter> {
        Arc::clone(&self.writer)
    }
}

impl Drop for Wire {
    /// Closes the socket, although the other user still has its writer.
    fn drop(&mut self) {
        self.writer.close();
    }
}

impl ConnectionRules {
    /// Creates the rules of a new connection.
    pub(crate) fn new(guard: Amqp091Guard, messages: Arc<dyn MessageFrames>) -> Self {
        Self { guard, messages, alive_at: Instant::now() }
    }
}

impl FrameRules for ConnectionRules {
    fn frame_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.guard.frame_length(bytes)
    }

    fn check(&mut self, frame: &[u8], report: &GuardReport) -> Result<Passage, Violation> {
        let passage = self.guard.check(frame, report)?;
        let checked = match &passage {
            Passage::Unchanged => frame,
            Passage::Replaced(replacement) => replacement,
        };
        if !self.messages.take(checked)? {
            return Ok(passage);
        }
        // A busy broker sends no heartbeats, and lapin counts only the frames that it sees.
        let is_alive = self.alive_at.elapsed() >= ALIVE_INTERVAL;
        Ok(Passage::Replaced(if is_alive {
            self.alive_at = Instant::now();
            HEARTBEAT.to_vec()
        } else {
            Vec::new()
        }))
    }
}

impl futures_io::AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut out = ReadBuf::new(out);
        ready!(Pin::new(&mut self.get_mut().stream).poll_read(cx, &mut out))?;
        Poll::Ready(Ok(out.filled().len()))
    }
}

impl futures_io::AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer.poll_lapin(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_lapin_end(cx, AsyncWrite::poll_flush)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_lapin_end(cx, AsyncWrite::poll_shutdown)
    }
}

/// The time between two heartbeats that tell lapin of a busy broker. The shortest interval of heartbeats is a second.
const ALIVE_INTERVAL: Duration = Duration::from_millis(250);
/// The frame of a heartbeat (section 4.2.7).
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xce];
