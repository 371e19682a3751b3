//! The half of a stream to which lapin writes, and beside it a publisher or a source: directly.
//!
//! Both write whole frames: while one has written a part of a frame, the other waits. Frames of different
//! channels may come in any order, so nothing else needs coordination.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::timeout;

use crate::channel_watch::ChannelWatch;
use crate::frames::{FRAME_OVERHEAD, HEADER_BYTES};

/// The stream with its two writers.
#[derive(Debug)]
pub(crate) struct FrameWriter<S> {
    output: Mutex<Output<S>>,
    waiting: Arc<WaitingWriters>,
    watch: Arc<ChannelWatch>,
}

#[derive(Debug)]
struct Output<S> {
    /// `None` after lapin has dropped the stream.
    stream: Option<S>,
    /// The end of lapin's frame.
    lapin_frame: FrameEnd,
    /// Whether a part of a direct frame is written.
    is_direct_frame_open: bool,
}

/// The tasks that wait until they can write. A socket wakes only one.
#[derive(Debug, Default)]
struct WaitingWriters {
    lapin: WaitingWriter,
    /// lapin, until its flush or its close is done. It flushes also while its write waits.
    lapin_end: WaitingWriter,
    direct: WaitingWriter,
}

/// A task that waits until it can write.
#[derive(Debug, Default)]
struct WaitingWriter(Mutex<Option<Waker>>);

/// The end of a direct write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// All frames are written.
    Complete,
    /// The channel or the connection has failed.
    ChannelFailed,
    /// The socket took nothing for too long.
    Stalled,
}

/// The progress of a direct write, as offsets into its frames.
#[derive(Debug)]
struct WriteProgress {
    written: usize,
    /// The end of the frame that `written` is in.
    frame_end: usize,
}

/// The distance to the end of a frame in a stream of frames.
#[derive(Debug)]
struct FrameEnd {
    /// The first bytes of a frame: its type, its channel and its size.
    header: [u8; HEADER_BYTES],
    /// The number of bytes of the header so far.
    filled: usize,
    /// The number of bytes to the end, once the header is complete.
    rest: usize,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    /// Creates a writer of a new connection. `watch` tells when the channel takes no more.
    pub(crate) fn new(stream: S, watch: Arc<ChannelWatch>) -> Self {
        let output = Output {
            stream: Some(stream),
            lapin_frame: FrameEnd::of_connection(),
            is_direct_frame_open: false,
        };
        Self { output: Mutex::new(output), waiting: Arc::default(), watch }
    }

    /// Writes `frames`, which must be whole frames. After the channel has failed, only the frame in progress is
    /// completed.
    ///
    /// # Errors
    ///
    /// The error of the socket.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a part of a frame. Drop the connection then.
    pub(crate) async fn write(&self, frames: &[u8], time: Duration) -> io::Result<WriteEnd> {
        let mut progress = WriteProgress { written: 0, frame_end: 0 };
        while progress.written < frames.len() {
            let part = poll_fn(|cx| {
                self.waiting.direct.poll(cx, || self.poll_frames(frames, &mut progress))
            });
            let Ok(written) = timeout(time, part).await else { return Ok(WriteEnd::Stalled) };
            if !written? {
                return Ok(WriteEnd::ChannelFailed);
            }
        }
        let flush = poll_fn(|cx| {
            let output = || self.output().poll(&self.waiting, AsyncWrite::poll_flush);
            self.waiting.direct.poll(cx, output)
        });
        match timeout(time, flush).await {
            Ok(flushed) => flushed.map(|()| WriteEnd::Complete),
            Err(_) => Ok(WriteEnd::Stalled),
        }
    }

    /// Writes a part of `frames`. Ready with `false` if no more may be written.
    fn poll_frames(&self, frames: &[u8], progress: &mut WriteProgress) -> Poll<io::Result<bool>> {
        let mut output = self.output();
        // The broker ends a connection that uses a closed channel. lapin confirms the close with a frame of its
        // own, which waits for this lock.
        let end = if self.watch.has_ended() { progress.frame_end } else { frames.len() };
        if progress.written >= end {
            return Poll::Ready(Ok(false));
        }
        if output.lapin_frame.is_inside() {
            return Poll::Pending;
        }
        let part = &frames[progress.written..end];
        let count = ready!(output.poll(&self.waiting, |stream, cx| stream.poll_write(cx, part)))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        progress.advance(count, frames);
        output.is_direct_frame_open = progress.written < progress.frame_end;
        if !output.is_direct_frame_open {
            self.waiting.lapin.wake();
        }
        Poll::Ready(Ok(true))
    }

    /// Writes a part of `bytes` for lapin.
    pub(crate) fn poll_lapin(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.waiting.lapin.poll(cx, || {
            let mut output = self.output();
            if output.is_direct_frame_open {
                return Poll::Pending;
            }
            let write = |stream: Pin<&mut S>, cx: &mut Context<'_>| stream.poll_write(cx, bytes);
            let count = ready!(output.poll(&self.waiting, write))?;
            output.lapin_frame.advance(&bytes[..count]);
            if !output.lapin_frame.is_inside() {
                self.waiting.direct.wake();
            }
            Poll::Ready(Ok(count))
        })
    }

    /// Flushes the stream, or closes it, for lapin.
    pub(crate) fn poll_lapin_end(
        &self,
        cx: &mut Context<'_>,
        poll: fn(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        self.waiting.lapin_end.poll(cx, || self.output().poll(&self.waiting, poll))
    }

    /// Drops the stream. Ends every wait for it.
    pub(crate) fn close(&self) {
        self.output().stream = None;
        // Before the wake-up: a writer may look at once.
        self.watch.lose();
        Arc::clone(&self.waiting).wake();
    }

    fn output(&self) -> MutexGuard<'_, Output<S>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Unpin> Output<S> {
    /// Polls the stream. It will wake both writers.
    fn poll<T>(
        &mut self,
        waiting: &Arc<WaitingWriters>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let waker = Waker::from(Arc::clone(waiting));
        poll(Pin::new(stream), &mut Context::from_waker(&waker))
    }
}

impl Wake for WaitingWriters {
    fn wake(self: Arc<Self>) {
        self.lapin.wake();
        self.lapin_end.wake();
        self.direct.wake();
    }
}

impl WaitingWriter {
    /// Calls `poll`, and keeps the task's waker only while that is pending.
    fn poll<T>(&self, cx: &mut Context<'_>, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        // A wake-up during the call counts.
        *self.lock() = Some(cx.waker().clone());
        let polled = poll();
        if polled.is_ready() {
            self.lock().take();
        }
        polled
    }

    fn wake(&self) {
        let waiting = self.lock().take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriteProgress {
    /// Counts written bytes, and finds the end of the frame that they end in.
    fn advance(&mut self, count: usize, frames: &[u8]) {
        self.written += count;
        while self.frame_end < self.written {
            let size = frames.get(self.frame_end + 3..).and_then(<[u8]>::first_chunk);
            let size = size.map_or(0, |size| u32::from_be_bytes(*size) as usize);
            self.frame_end = (self.frame_end + FRAME_OVERHEAD + size).min(frames.len());
        }
    }
}

impl FrameEnd {
    /// Begins with the protocol header, which is no frame.
    fn of_connection() -> Self {
        Self { header: [0; HEADER_BYTES], filled: 0, rest: PROTOCOL_HEADER_BYTES }
    }

    /// Returns whether a part of a frame is missing.
    fn is_inside(&self) -> bool {
        self.filled > 0 || self.rest > 0
    }

    /// Follows the bytes that were written.
    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let count = self.rest.min(bytes.len());
                self.rest -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == HEADER_BYTES {
                let [.., a, b, c, d] = self.header;
                self.rest = u32::from_be_bytes([a, b, c, d]) as usize + 1;
                self.filled = 0;
            }
        }
    }
}

/// The length of the protocol header in bytes (section 4.2.2).
const PROTOCOL_HEADER_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Context;

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;

    /// Builds a frame of `length` bytes.
    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length - FRAME_OVERHEAD).unwrap();
        [&[kind, 0, 1][..], &size.to_be_bytes(), &vec![kind; size as usize], &[0xce]].concat()
    }

    /// Creates a writer after the protocol header, and the other end. The stream between them holds `capacity`
    /// bytes.
    async fn writer(capacity: usize) -> (FrameWriter<DuplexStream>, DuplexStream) {
        let (near, mut far) = duplex(capacity);
        let writer = FrameWriter::new(near, Arc::default());
        let mut protocol_header = &b"AMQP\0\0\x09\x01"[..];
        while !protocol_header.is_empty() {
            let written = poll_fn(|cx| writer.poll_lapin(cx, protocol_header)).await.unwrap();
            protocol_header = &protocol_header[written..];
            far.read_exact(&mut vec![0; written]).await.unwrap();
        }
        (writer, far)
    }

    /// Writes as lapin does.
    async fn write_as_lapin(writer: &FrameWriter<DuplexStream>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| writer.poll_lapin(cx, bytes)).await.unwrap();
            bytes = &bytes[written..];
        }
    }

    /// Reads whole frames until the stream ends, and returns their types and lengths.
    async fn read_frames(mut far: DuplexStream) -> Vec<(u8, usize)> {
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        let (mut rest, mut frames) = (&bytes[..], Vec::new());
        while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
            let [kind, .., a, b, c, d] = *header;
            let length = u32::from_be_bytes([a, b, c, d]) as usize + FRAME_OVERHEAD;
            assert!(rest[HEADER_BYTES..length - 1].iter().all(|&byte| byte == kind));
            assert_eq!(rest[length - 1], 0xce);
            frames.push((kind, length));
            rest = &rest[length..];
        }
        frames
    }

    /// The end of a frame is found, however the writes slice the frames.
    #[test]
    fn finds_the_end_of_each_frame() {
        let frames = [frame(1, 8), frame(2, 9), frame(3, 400)].concat();
        let stream = [b"AMQP\0\0\x09\x01", &frames[..]].concat();
        let ends = [8, 16, 25, 425];
        for slice in 1..stream.len() {
            let (mut end, mut written) = (FrameEnd::of_connection(), 0);
            for bytes in stream.chunks(slice) {
                assert!(end.is_inside() || ends.contains(&written));
                end.advance(bytes);
                written += bytes.len();
                assert_eq!(!end.is_inside(), ends.contains(&written), "{written} of {slice}");
            }
        }
    }

    /// lapin and a publisher write at the same time over a stream that takes few bytes at once: every frame stays
    /// whole, and none is lost.
    #[tokio::test]
    async fn frames_of_both_writers_stay_whole() {
        for capacity in [1, 7, 8, 64] {
            let (writer, far) = writer(capacity).await;
            let published = [frame(2, 30), frame(3, 100), frame(3, 8)].concat().repeat(50);
            let of_lapin = [frame(1, 20), frame(1, 9)].concat();
            let lapin = async {
                for _ in 0..50 {
                    write_as_lapin(&writer, &of_lapin).await;
                    tokio::task::yield_now().await;
                }
            };
            let both = async {
                let ((), end) = tokio::join!(lapin, writer.write(&published, TIME));
                assert_eq!(end.unwrap(), WriteEnd::Complete);
                writer.close();
            };
            let ((), frames) = tokio::join!(both, read_frames(far));
            let count = |kind| frames.iter().filter(|(of, _)| *of == kind).count();
            assert_eq!((count(1), count(2), count(3)), (100, 50, 100), "{capacity}");
        }
    }

    /// Once the channel has failed, the publisher completes its frame and writes no other. lapin's frame, which
    /// confirms the close, comes after it.
    #[tokio::test]
    async fn a_failed_channel_gets_no_more_frames() {
        let (writer, mut far) = writer(16).await;
        let published = frame(3, 100).repeat(10);
        let mut publish = Box::pin(writer.write(&published, TIME));
        let mut idle = Context::from_waker(Waker::noop());
        assert!(publish.as_mut().poll(&mut idle).is_pending());
        let close_ok = frame(1, 12);
        assert!(writer.poll_lapin(&mut idle, &close_ok).is_pending());
        writer.watch.fail(lapin::ErrorKind::MissingHeartbeatError.into());
        let mut begin = [0; 16];
        far.read_exact(&mut begin).await.unwrap();
        let reader = tokio::spawn(async move {
            let mut rest = Vec::new();
            far.read_to_end(&mut rest).await.unwrap();
            rest
        });
        assert_eq!(publish.await.unwrap(), WriteEnd::ChannelFailed);
        write_as_lapin(&writer, &close_ok).await;
        // Not even the first frame of another write.
        assert_eq!(writer.write(&published, TIME).await.unwrap(), WriteEnd::ChannelFailed);
        writer.close();
        let all = [&begin[..], &reader.await.unwrap()].concat();
        assert_eq!(all, [frame(3, 100), close_ok].concat());
    }

    /// lapin flushes in every turn, also while its write waits for a direct frame. It learns nevertheless that it can
    /// write.
    #[tokio::test]
    async fn a_flush_leaves_the_waiting_write_alone() {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let (writer, mut far) = writer(16).await;
        let published = frame(3, 100);
        let mut publish = Box::pin(writer.write(&published, TIME));
        assert!(publish.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut of_lapin = Context::from_waker(&waker);
        assert!(writer.poll_lapin(&mut of_lapin, &frame(1, 8)).is_pending());
        assert!(writer.poll_lapin_end(&mut of_lapin, AsyncWrite::poll_flush).is_ready());
        let drain = async { far.read_exact(&mut [0; 100]).await };
        let (end, drained) = tokio::join!(publish, drain);
        assert_eq!((end.unwrap(), drained.unwrap()), (WriteEnd::Complete, 100));
        assert!(flag.0.load(Ordering::Relaxed));
    }

    /// A writer that looks again at the very moment of the end sees it.
    #[tokio::test]
    async fn the_end_is_known_before_the_wake_up() {
        struct Look(Arc<ChannelWatch>, AtomicBool);
        impl Wake for Look {
            fn wake(self: Arc<Self>) {
                self.1.store(self.0.has_ended(), Ordering::Relaxed);
            }
        }
        let (writer, _far) = writer(16).await;
        write_as_lapin(&writer, &frame(1, 20)[..10]).await;
        let published = frame(3, 100);
        let mut publish = Box::pin(writer.write(&published, TIME));
        let look = Arc::new(Look(Arc::clone(&writer.watch), AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&look));
        assert!(publish.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        writer.close();
        assert!(look.1.load(Ordering::Relaxed));
    }

    /// A socket that takes nothing ends a write, and so does the end of the connection.
    #[tokio::test(start_paused = true)]
    async fn a_write_ends_without_the_broker() {
        let (writer, _far) = writer(16).await;
        let published = frame(3, 100);
        assert_eq!(writer.write(&published, TIME).await.unwrap(), WriteEnd::Stalled);
        let write =
            async { tokio::join!(writer.write(&published, TIME), async { writer.close() }).0 };
        let end = write.await;
        assert!(matches!(end, Err(_) | Ok(WriteEnd::ChannelFailed)), "{end:?}");
    }

    /// The time without progress after which a write has failed.
    const TIME: Duration = Duration::from_secs(10);
}
