//! What passes between the socket and lapin: whole frames, none of which can harm.
//!
//! lapin parses tables inside tables recursively and without a limit: seven kilobytes of them, sent
//! before we have even logged in, overflow its stack and end the process. Nothing that a broker says
//! to a publisher needs more than a level or two.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use notify_core::redact::printable;
use notify_core::{Error, ErrorKind};
use notify_net::BrokerStream;
use tokio::io::ReadBuf;

/// A connected socket, as lapin is shown it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BrokerStream,
    frames: Frames,
}

/// The name and the version that the broker gave itself, once it has.
pub(crate) type Product = Arc<OnceLock<String>>;

/// The largest frame that we take and send, in bytes: RabbitMQ's own default.
pub(crate) const FRAME_MAX: u32 = 128 * 1024;

impl Wire {
    pub(crate) fn new(stream: BrokerStream, product: Product) -> Self {
        let host = stream.peer().host.to_string();
        Self { stream, frames: Frames::new(host, product) }
    }
}

impl futures_io::AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, frames } = self.get_mut();
        while frames.whole().is_empty() {
            let mut chunk = [0; 8 * 1024];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(tokio::io::AsyncRead::poll_read(Pin::new(stream), cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(0));
            }
            frames.push(read.filled())?;
        }
        let whole = frames.whole();
        let taken = whole.len().min(out.len());
        out[..taken].copy_from_slice(&whole[..taken]);
        frames.consume(taken);
        Poll::Ready(Ok(taken))
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

/// What has arrived, cut into frames.
#[derive(Debug)]
struct Frames {
    bytes: Vec<u8>,
    /// How much of it is whole frames that were looked at.
    whole: usize,
    host: String,
    product: Product,
}

impl Frames {
    fn new(host: String, product: Product) -> Self {
        Self { bytes: Vec::new(), whole: 0, host, product }
    }

    fn whole(&self) -> &[u8] {
        &self.bytes[..self.whole]
    }

    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.whole -= count;
    }

    /// Takes in what arrived; fails at the first frame that must not go on to lapin.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        while let Some(frame) = self.next_frame()? {
            self.check(frame.clone())?;
            self.whole = frame.end;
        }
        Ok(())
    }

    /// Where the next frame stands, if all of it is here.
    fn next_frame(&self) -> io::Result<Option<std::ops::Range<usize>>> {
        let rest = &self.bytes[self.whole..];
        match rest {
            [] | [1..=3 | 8, ..] => {}
            // The first byte of an alert: RabbitMQ's TLS port answers plain text with one.
            [0x15, ..] => {
                return Err(
                    self.refuse("answers with TLS: use amqps:// or the port for plain text")
                );
            }
            // The start of `AMQP`, the answer to a version that is not spoken.
            [b'A', ..] => return Err(self.refuse("does not speak AMQP 0-9-1 on this port")),
            _ => return Err(self.refuse("does not speak AMQP on this port")),
        }
        let Some((&[_, _, _, a, b, c, d], _)) = rest.split_first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes([a, b, c, d]);
        if size > FRAME_MAX {
            return Err(self.refuse("sent a frame that is larger than agreed"));
        }
        let end = self.whole + HEADER + size as usize + 1;
        match self.bytes.get(end - 1) {
            None => Ok(None),
            Some(&END) => Ok(Some(self.whole..end)),
            Some(_) => Err(self.refuse("sent a frame that is not well-formed")),
        }
    }

    fn check(&self, frame: std::ops::Range<usize>) -> io::Result<()> {
        let (kind, payload) =
            (self.bytes[frame.start], &self.bytes[frame.start + HEADER..frame.end - 1]);
        let method = payload.first_chunk().map(|[_, class, _, method]| (*class, *method));
        match (kind, method) {
            // Bodies and heartbeats; and the methods that have a text of somebody's and no table:
            // channel.close, connection.close, connection.blocked, basic.return.
            (3 | 8, _) | (1, Some((20, 40) | (10, 50 | 60) | (60, 50))) => return Ok(()),
            (1, Some((10, 10))) => {
                let _ = self.product.set(product(payload));
            }
            _ => {}
        }
        // Each level of nesting needs the letter of a table (F) or an array (A): their number bounds
        // the depth, whatever the rest means.
        let letters = payload.iter().filter(|&&byte| matches!(byte, b'F' | b'A')).count();
        if letters > MOST_LETTERS {
            return Err(self.refuse("sent a table that is nested too deeply"));
        }
        Ok(())
    }

    fn refuse(&self, what: &str) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            Error::new(ErrorKind::Config, format!("{} {what}", self.host)),
        )
    }
}

/// What a Connection.Start says of the broker: `RabbitMQ 3.10.8`.
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

/// Type, channel and size.
const HEADER: usize = 7;
/// What every frame ends with.
const END: u8 = 0xce;
/// RabbitMQ's Connection.Start holds a dozen.
const MOST_LETTERS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames {
        Frames::new("broker:5672".into(), Product::default())
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 0];
        frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(payload);
        frame.push(END);
        frame
    }

    /// A Connection.Start with tables inside each other.
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

    #[test]
    fn only_whole_frames_pass_whatever_the_slices() {
        let stream: Vec<u8> =
            [frame(1, &[0, 60, 0, 80, 1]), frame(8, &[]), frame(3, &vec![b'F'; 100_000])].concat();
        for slice in [1, 7, 4096, stream.len()] {
            let (mut frames, mut passed) = (frames(), Vec::new());
            for bytes in stream.chunks(slice) {
                frames.push(bytes).unwrap();
                passed.extend_from_slice(frames.whole());
                frames.consume(frames.whole().len());
                assert!(passed == stream[..passed.len()]);
            }
            assert!(passed == stream, "slices of {slice}");
        }
    }

    #[test]
    fn what_could_harm_does_not_pass() {
        let endless = [&[1, 0, 0], &u32::MAX.to_be_bytes()[..]].concat();
        let torn = [&frame(8, &[])[..7], b"x"].concat();
        for (bytes, said) in [
            (nested(300), "nested too deeply"),
            (nested(15_000), "nested too deeply"),
            (frame(2, &nested(300)), "nested too deeply"),
            (endless, "larger than agreed"),
            (torn, "not well-formed"),
            (b"AMQP\x00\x00\x09\x01".to_vec(), "does not speak AMQP 0-9-1"),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "does not speak AMQP on this port"),
            (b"\x15\x03\x03\x00\x02\x02\x0a".to_vec(), "use amqps://"),
        ] {
            let mut frames = frames();
            let error = frames.push(&bytes).expect_err(said);
            let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
            assert!(error.to_string().starts_with("broker:5672 "), "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(frames.whole().is_empty());
        }
        assert!(frames().push(&nested(100)).is_ok());
    }

    #[test]
    fn the_product_is_read_from_the_start() {
        let mut payload = vec![0, 10, 0, 10];
        payload.extend_from_slice(b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8");
        let product = Product::default();
        Frames::new("h".into(), Arc::clone(&product)).push(&frame(1, &payload)).unwrap();
        assert_eq!(product.get().unwrap(), "RabbitMQ 3.10.8");

        let cut = b"\0\x0a\0\x0a\x07productS\xff\xff\xff\xffRabbit";
        assert_eq!(super::product(cut), "an AMQP 0-9-1 broker");
    }
}
