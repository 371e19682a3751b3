//! The connected stream: shared by lapin, which speaks AMQP over it, and by the publisher.
//!
//! ```text
//!             ┌─ answers to publishes ─► PublishAnswers
//! broker ──► guard
//!             └─ everything else ──────► Wire ──► lapin
//!
//! publisher ─► FrameWriter ──► broker
//!     lapin ─► ───┘
//! ```
//!
//! lapin opens, watches and closes the connection and its channels. It sees neither the publishes nor
//! their answers, which take half of the processor time without it: `docs/performance.md` has the
//! measurements.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use notify_net::guard::amqp091::Amqp091Guard;
use notify_net::guard::{FrameRules, GuardReport, GuardedStream, Passage, Violation};
use tokio::io::{AsyncRead as _, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};

use crate::answers::PublishAnswers;
use crate::frame_writer::FrameWriter;

/// The stream for lapin. It passes on only harmless frames, and no answer to a publish.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: ReadHalf<GuardedStream<ConnectionRules>>,
    writer: Arc<WireWriter>,
}

/// The writer that lapin and a publisher share.
pub(crate) type WireWriter = FrameWriter<WriteHalf<GuardedStream<ConnectionRules>>>;

/// The rules of a connection: those of its guard, and where the answers to publishes go.
#[derive(Debug)]
pub(crate) struct ConnectionRules {
    pub(crate) guard: Amqp091Guard,
    /// The answers to publishes. A connection that only consumes has none.
    pub(crate) answers: Option<Arc<PublishAnswers>>,
}

impl Wire {
    /// Shares `stream` between lapin and a publisher.
    pub(crate) fn new(
        stream: GuardedStream<ConnectionRules>,
        answers: Arc<PublishAnswers>,
    ) -> Self {
        let (stream, output) = split(stream);
        Self { stream, writer: Arc::new(FrameWriter::new(output, answers)) }
    }

    /// Returns the writer for a publisher.
    pub(crate) fn writer(&self) -> Arc<WireWriter> {
        Arc::clone(&self.writer)
    }
}

impl Drop for Wire {
    /// Closes the socket, although the publisher still has its writer.
    fn drop(&mut self) {
        self.writer.close();
    }
}

impl FrameRules for ConnectionRules {
    fn frame_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        self.guard.frame_length(bytes)
    }

    fn check(&mut self, frame: &[u8], report: &GuardReport) -> Result<Passage, Violation> {
        let passage = self.guard.check(frame, report)?;
        let Some(answers) = &self.answers else { return Ok(passage) };
        let checked = match &passage {
            Passage::Unchanged => frame,
            Passage::Replaced(replacement) => replacement,
        };
        // A busy broker sends no heartbeats, and lapin counts only the frames that it sees.
        let is_answer = answers.take(checked)?;
        Ok(if is_answer { Passage::Replaced(HEARTBEAT.to_vec()) } else { passage })
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

/// The frame of a heartbeat (section 4.2.7).
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xce];
