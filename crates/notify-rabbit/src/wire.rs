//! The byte stream between the socket and lapin. It passes on only whole, harmless frames.
//!
//! lapin parses tables inside tables recursively and without a limit: seven kilobytes of them, sent
//! before the login, overflow its stack and end the process. Frames to a publisher need one or two
//! levels at most, so this module bounds the nesting, the size and the form of every frame (AMQP
//! 0-9-1, section 4.2.3) before lapin sees it.
//!
//! A frame has this form; all numbers are big-endian:
//!
//! ```text
//! 0      1         3             7                  7 + size
//! ├ type ┼ channel ┼ size (u32)  ┼ payload          ┼ 0xCE ┤
//! ```
//!
//! The types are 1 (method), 2 (content header), 3 (body) and 8 (heartbeat). A peer that speaks
//! another protocol fails at the first byte, and its error names that protocol.
//!
//! This module changes no byte of a frame.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::BrokerStream;
use tokio::io::ReadBuf;

/// A connected stream that checks the broker's frames on their way to lapin.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BrokerStream,
    frames: FrameBuffer,
}

/// The product and version that the broker reports: `RabbitMQ 3.10.8`. Empty until its first frame.
pub(crate) type BrokerProduct = Arc<OnceLock<String>>;

/// The largest frame in both directions, in bytes: RabbitMQ's default for `frame_max`.
pub(crate) const FRAME_MAX: u32 = 128 * 1024;

impl Wire {
    /// Wraps `stream`. Reading sets `product`.
    pub(crate) fn new(stream: BrokerStream, product: BrokerProduct) -> Self {
        let host = stream.peer().host.to_string();
        Self { stream, frames: FrameBuffer::new(host, product) }
    }
}

impl futures_io::AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, frames } = self.get_mut();
        while frames.checked().is_empty() {
            let mut chunk = [0; 8 * 1024];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(tokio::io::AsyncRead::poll_read(Pin::new(stream), cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(0));
            }
            frames.push(read.filled())?;
        }
        let checked = frames.checked();
        let read = checked.len().min(out.len());
        out[..read].copy_from_slice(&checked[..read]);
        frames.consume(read);
        Poll::Ready(Ok(read))
    }
}

impl futures_io::AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.get_mut().stream), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().stream), cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().stream), cx)
    }
}

/// The received bytes, cut into frames.
#[derive(Debug)]
struct FrameBuffer {
    bytes: Vec<u8>,
    /// The length of the prefix that consists of whole, checked frames.
    checked: usize,
    host: String,
    product: BrokerProduct,
}

impl FrameBuffer {
    /// Creates an empty buffer for frames from `host`.
    fn new(host: String, product: BrokerProduct) -> Self {
        Self { bytes: Vec::new(), checked: 0, host, product }
    }

    /// Returns the checked frames that lapin has not read yet.
    fn checked(&self) -> &[u8] {
        &self.bytes[..self.checked]
    }

    /// Removes the first `count` checked bytes, after lapin has read them.
    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.checked -= count;
    }

    /// Appends received bytes and checks every frame that they complete.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] around this crate's own error, at the first frame that lapin must
    /// not see. lapin closes the connection then.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        while let Some(frame) = self.next_frame()? {
            self.check(frame.clone())?;
            self.checked = frame.end;
        }
        Ok(())
    }

    /// Returns the range of the next frame, or `None` until all of it has arrived.
    fn next_frame(&self) -> io::Result<Option<std::ops::Range<usize>>> {
        let rest = &self.bytes[self.checked..];
        match rest {
            [] | [1..=3 | 8, ..] => {}
            // The first byte of a TLS alert: RabbitMQ's TLS port answers plain text with one.
            [0x15, ..] => {
                return Err(self.error(
                    "answers with TLS: use amqps:// in `rabbit.url`, or the port for plain text",
                ));
            }
            // The first byte of `AMQP`: the answer to an unsupported protocol version.
            [b'A', ..] => {
                return Err(self.error(
                    "does not speak AMQP 0-9-1 on this port: check the \
                     port in `rabbit.url` or `rabbit.port`",
                ));
            }
            _ => {
                return Err(self.error(
                    "does not speak AMQP on this port: check the \
                     port in `rabbit.url` or `rabbit.port`",
                ));
            }
        }
        let Some((&[_, _, _, a, b, c, d], _)) = rest.split_first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes([a, b, c, d]);
        if size > FRAME_MAX {
            return Err(self.error("sent a frame larger than the negotiated limit"));
        }
        let end = self.checked + HEADER + size as usize + 1;
        match self.bytes.get(end - 1) {
            None => Ok(None),
            Some(&END) => Ok(Some(self.checked..end)),
            Some(_) => Err(self.error("sent a malformed frame")),
        }
    }

    /// Checks that lapin can parse the frame safely, and reads the broker's product on the way.
    ///
    /// The check does not parse tables. It counts the bytes that can open a level of nesting, which is
    /// simpler than a second parser and can only overestimate.
    fn check(&self, frame: std::ops::Range<usize>) -> io::Result<()> {
        let (kind, payload) =
            (self.bytes[frame.start], &self.bytes[frame.start + HEADER..frame.end - 1]);
        let method = payload.first_chunk().map(|[_, class, _, method]| (*class, *method));
        match (kind, method) {
            // Bodies and heartbeats have no tables. Neither have these methods, which contain free
            // text instead: channel.close, connection.close, connection.blocked and basic.return.
            (3 | 8, _) | (1, Some((20, 40) | (10, 50 | 60) | (60, 50))) => return Ok(()),
            (1, Some((10, 10))) => {
                let _ = self.product.set(product(payload));
            }
            _ => {}
        }
        // Each level of nesting contains the letter of a table (F) or of an array (A). So the number
        // of letters bounds the depth, whatever the other bytes mean.
        let letters = payload.iter().filter(|&&byte| matches!(byte, b'F' | b'A')).count();
        if letters > MAX_LETTERS {
            return Err(self.error("sent a table that is nested too deeply"));
        }
        Ok(())
    }

    /// Creates an I/O error around the crate's own error. `problem` completes the sentence that the
    /// host begins.
    fn error(&self, problem: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            Error::new(ErrorKind::Config, format!("{} {problem}", self.host)),
        )
    }
}

/// Returns the product and version in the server properties of a Connection.Start method.
fn product(start: &[u8]) -> String {
    let text = |key: &[u8]| {
        let at = memchr::memmem::find(start, key)? + key.len();
        let (length, rest) = start.get(at..)?.split_first_chunk()?;
        let text = rest.get(..u32::from_be_bytes(*length) as usize)?;
        Some(printable(&String::from_utf8_lossy(text), 64).to_string())
    };
    let product = text(b"\x07productS").unwrap_or_else(|| "an AMQP 0-9-1 broker".into());
    match text(b"\x07versionS") {
        Some(version) => format!("{product} {version}"),
        None => product,
    }
}

/// The length of a frame's header, in bytes: type, channel and size.
const HEADER: usize = 7;
/// The last byte of every frame.
const END: u8 = 0xce;
/// The most letters `F` and `A` in a frame with tables. RabbitMQ's Connection.Start contains a dozen.
const MAX_LETTERS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates an empty buffer.
    fn frames() -> FrameBuffer {
        FrameBuffer::new("broker:5672".into(), BrokerProduct::default())
    }

    /// Builds a frame on channel 0.
    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 0];
        frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(END);
        frame
    }

    /// Builds a Connection.Start method with `depth` tables inside each other.
    fn nested(depth: usize) -> Vec<u8> {
        let mut table = Vec::new();
        for _ in 0..depth {
            let mut outer = vec![0, b'F'];
            outer.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
            outer.append(&mut table);
            table = outer;
        }
        let mut payload = vec![0, 10, 0, 10, 0, 9];
        payload.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
        payload.append(&mut table);
        frame(1, &payload)
    }

    /// Frames pass unchanged and only as a whole, however the network slices the stream.
    #[test]
    fn passes_on_only_whole_frames() {
        let stream: Vec<u8> =
            [frame(1, &[0, 60, 0, 80, 1]), frame(8, &[]), frame(3, &vec![b'F'; 100_000])].concat();
        for slice in [1, 7, 4096, stream.len()] {
            let (mut frames, mut passed) = (frames(), Vec::new());
            for bytes in stream.chunks(slice) {
                frames.push(bytes).unwrap();
                passed.extend_from_slice(frames.checked());
                frames.consume(frames.checked().len());
                assert!(passed == stream[..passed.len()]);
            }
            assert!(passed == stream, "slices of {slice}");
        }
    }

    /// Frames that could harm lapin become errors, and lapin sees none of their bytes.
    #[test]
    fn stops_harmful_frames() {
        let endless = [&[1, 0, 0], &u32::MAX.to_be_bytes()[..]].concat();
        let unterminated = [&frame(8, &[])[..7], b"x"].concat();
        for (bytes, expected) in [
            (nested(300), "nested too deeply"),
            (nested(15_000), "nested too deeply"),
            (frame(2, &nested(300)), "nested too deeply"),
            (endless, "larger than the negotiated limit"),
            (unterminated, "sent a malformed frame"),
            (b"AMQP\x00\x00\x09\x01".to_vec(), "does not speak AMQP 0-9-1"),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "does not speak AMQP on this port"),
            (b"\x15\x03\x03\x00\x02\x02\x0a".to_vec(), "use amqps://"),
        ] {
            let mut frames = frames();
            let error = frames.push(&bytes).expect_err(expected);
            let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
            assert!(error.to_string().starts_with("broker:5672 "), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
            assert!(frames.checked().is_empty());
        }
        assert!(frames().push(&nested(100)).is_ok());
    }

    /// `glance-notify check` shows the product and version of the Connection.Start method, and a
    /// malformed method does no harm.
    #[test]
    fn reads_the_product_from_the_start_method() {
        let mut payload = vec![0, 10, 0, 10];
        payload.extend_from_slice(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8");
        let product = BrokerProduct::default();
        FrameBuffer::new("h".into(), Arc::clone(&product)).push(&frame(1, &payload)).unwrap();
        assert_eq!(product.get().unwrap(), "RabbitMQ 3.10.8");

        let cut = b"\0\x0a\0\x0a\x07productS\xff\xff\xff\xffRabbit";
        assert_eq!(super::product(cut), "an AMQP 0-9-1 broker");
    }
}
