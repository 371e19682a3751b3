//! The rules of AMQP 0-9-1.
//!
//! A frame has this form; all numbers are big-endian (section 4.2.3):
//!
//! ```text
//! 0      1         3             7                  7 + size
//! ├ type ┼ channel ┼ size (u32)  ┼ payload          ┼ 0xCE ┤
//! ```
//!
//! The types are 1 (method), 2 (content header), 3 (body) and 8 (heartbeat). Of the methods that a
//! broker sends, only `Connection.Start` holds a table; the guard lets no other method with a table
//! pass. A peer that speaks another protocol fails at the first byte, and its error names that
//! protocol.

use std::collections::HashMap;

use notify_core::redact::printable;

use crate::guard::content_header::{self, FRAME_END};
use crate::guard::method::{self, HEADER_BYTES, MALFORMED_FRAME};
use crate::guard::report::GuardReport;
use crate::guard::rules::{FrameRules, Passage, Violation};

/// The guard of a connection over AMQP 0-9-1. A clone guards another connection.
#[derive(Clone, Debug)]
pub struct Amqp091Guard {
    /// The limit of a received body in bytes, for a receiver.
    max_body_bytes: Option<u64>,
    /// The bytes of bodies that are still to drop, by channel.
    dropping: HashMap<u16, u64>,
}

impl Amqp091Guard {
    /// Creates the guard of a connection that only publishes. A harmful frame ends the connection.
    pub fn sender() -> Self {
        Self { max_body_bytes: None, dropping: HashMap::new() }
    }

    /// Creates the guard of a connection that consumes.
    ///
    /// Content headers that the client library cannot parse safely lose all their properties, and
    /// bodies of more than `max_body_bytes` are dropped while they stream in. The delivery then has
    /// the one header [`DROPPED_HEADER`](content_header::DROPPED_HEADER), with the reason as a text.
    /// A publisher can send that header too, and so only mark its own message.
    pub fn receiver(max_body_bytes: u64) -> Self {
        Self { max_body_bytes: Some(max_body_bytes), dropping: HashMap::new() }
    }

    /// Checks a content header and decides about the body that follows it.
    fn check_header(&mut self, channel: u16, payload: &[u8]) -> Result<Passage, Violation> {
        let checked = content_header::check_properties(payload);
        let Some(max_body_bytes) = self.max_body_bytes else {
            return match checked {
                Ok(()) => Ok(Passage::Unchanged),
                Err(fault) => Err(Violation::Frame(fault.violation())),
            };
        };
        // A channel that was closed inside a body leaves the rest of it behind.
        self.dropping.remove(&channel);
        // Without its class and size a header announces nothing that could be marked.
        let (Some(class), Some(size)) =
            (payload.first_chunk::<2>(), payload.get(4..).and_then(<[u8]>::first_chunk::<8>))
        else {
            return Err(Violation::Frame("sent a malformed content header"));
        };
        let size = u64::from_be_bytes(*size);
        let (size, reason) = match checked {
            _ if size > max_body_bytes => {
                self.dropping.insert(channel, size);
                (0, content_header::too_large(size, max_body_bytes))
            }
            Err(fault) => (size, fault.reason().to_owned()),
            Ok(()) => return Ok(Passage::Unchanged),
        };
        Ok(Passage::Replaced(content_header::marked(channel, *class, size, &reason)))
    }

    /// Drops a body frame, or a part of one, if its message is too large.
    fn check_body(&mut self, channel: u16, payload: &[u8]) -> Passage {
        let Some(rest) = self.dropping.get_mut(&channel) else { return Passage::Unchanged };
        *rest = rest.saturating_sub(payload.len() as u64);
        if *rest == 0 {
            self.dropping.remove(&channel);
        }
        Passage::Replaced(Vec::new())
    }
}

impl FrameRules for Amqp091Guard {
    fn frame_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        match bytes {
            [] | [1..=3 | 8, ..] => {}
            // The first byte of a TLS alert: RabbitMQ's TLS port answers plain text with one.
            [0x15, ..] => {
                return Err(Violation::Protocol(
                    "answers with TLS: use amqps:// in the URL, or the port for plain text",
                ));
            }
            // The first byte of `AMQP`: the answer to an unsupported protocol version.
            [b'A', ..] => {
                return Err(Violation::Protocol(
                    "does not speak AMQP 0-9-1 on this port: check the port",
                ));
            }
            _ => {
                return Err(Violation::Protocol(
                    "does not speak AMQP on this port: check the port",
                ));
            }
        }
        let Some(&[_, _, _, a, b, c, d]) = bytes.first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes([a, b, c, d]);
        if size > FRAME_MAX {
            return Err(Violation::Frame("sent a frame larger than the negotiated limit"));
        }
        Ok(Some(HEADER_BYTES + size as usize + 1))
    }

    fn check(&mut self, frame: &[u8], report: &GuardReport) -> Result<Passage, Violation> {
        let [kind, high, low, ..] = *frame else { return Err(MALFORMED_FRAME) };
        let (Some(payload), Some(&FRAME_END)) =
            (frame.get(HEADER_BYTES..frame.len() - 1), frame.last())
        else {
            return Err(MALFORMED_FRAME);
        };
        let channel = u16::from_be_bytes([high, low]);
        match kind {
            1 => method::check(frame, payload, report),
            2 => self.check_header(channel, payload),
            3 => Ok(self.check_body(channel, payload)),
            _ => Ok(Passage::Unchanged),
        }
    }
}

/// Returns the product and the version in a greeting, `Connection.Start`: `RabbitMQ 3.10.8`.
///
/// # Examples
///
/// ```
/// use notify_net::guard::amqp091::product;
///
/// let start = b"\0\x0a\0\x0a\0\x09\0\0\0\x15\x07productS\0\0\0\x08RabbitMQ";
/// assert_eq!(product(start), "RabbitMQ");
/// assert_eq!(product(b""), "an AMQP 0-9-1 broker");
/// ```
pub fn product(start: &[u8]) -> String {
    let text = |key: &[u8]| {
        let at = start.windows(key.len()).position(|window| window == key)? + key.len();
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

/// The largest frame in both directions, in bytes: RabbitMQ's default for `frame_max`.
pub const FRAME_MAX: u32 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::content_header::{DROPPED_HEADER, check_properties, length_prefix};
    use crate::guard::frame_buffer::FrameBuffer;
    use crate::guard::rules::MAX_VALUES;

    /// Creates an empty buffer of a sender.
    fn sender() -> FrameBuffer<Amqp091Guard> {
        FrameBuffer::new(Amqp091Guard::sender(), GuardReport::default())
    }

    /// Creates an empty buffer of a receiver of small bodies.
    fn receiver() -> FrameBuffer<Amqp091Guard> {
        FrameBuffer::new(Amqp091Guard::receiver(100), GuardReport::default())
    }

    /// Builds a frame on channel 1.
    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[kind, 0, 1][..], &length_prefix(payload), &[FRAME_END]].concat()
    }

    /// Builds a table with `depth` tables or arrays inside each other, without recursion.
    fn nested(kind: u8, depth: usize) -> Vec<u8> {
        let entry: &[u8] = if kind == b'F' { &[0, b'F'] } else { b"A" };
        let mut reversed = Vec::new();
        for level in 0..depth {
            let length = u32::try_from(level * (entry.len() + 4)).unwrap();
            reversed.extend(length.to_be_bytes().iter().rev());
            reversed.extend(entry.iter().rev());
        }
        if kind == b'A' {
            reversed.push(0);
        }
        reversed.reverse();
        length_prefix(&reversed)
    }

    /// Builds a Connection.Start method with these server properties.
    fn start(table: &[u8]) -> Vec<u8> {
        let rest = [length_prefix(b"PLAIN"), length_prefix(b"en_US")].concat();
        frame(1, &[&[0, 10, 0, 10, 0, 9][..], table, &rest].concat())
    }

    /// Builds a content header with the property `headers`.
    fn header(size: u64, table: &[u8]) -> Vec<u8> {
        frame(2, &[&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0x20, 0], table].concat())
    }

    /// Passes `bytes` through a buffer.
    fn pass(frames: &mut FrameBuffer<Amqp091Guard>, bytes: &[u8]) -> Result<Vec<u8>, Violation> {
        frames.push(bytes)?;
        let passed = frames.checked().to_vec();
        frames.consume(passed.len());
        Ok(passed)
    }

    /// Frames pass unchanged and only as a whole, however the network slices the stream. Letters in a
    /// header do not count as nesting.
    #[test]
    fn passes_on_only_whole_frames() {
        let letters = [&b"\x01kS"[..], &length_prefix(&[b'A'; 500])].concat();
        let stream: Vec<u8> = [
            start(&nested(b'F', 20)),
            frame(1, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0]),
            frame(8, &[]),
            header(9, &length_prefix(&letters)),
            frame(3, &vec![b'F'; 100_000]),
        ]
        .concat();
        for slice in [1, 7, 4096, stream.len()] {
            let (mut frames, mut passed) = (sender(), Vec::new());
            for bytes in stream.chunks(slice) {
                passed.extend(pass(&mut frames, bytes).unwrap());
                assert!(passed == stream[..passed.len()]);
            }
            assert!(passed == stream, "slices of {slice}");
        }
    }

    /// No nesting from a peer overflows a stack: a sender gets an error at any depth, even at one that a
    /// frame cannot hold.
    #[test]
    fn stops_harmful_frames() {
        let endless = [&[1, 0, 0], &u32::MAX.to_be_bytes()[..]].concat();
        let unterminated = [&frame(8, &[])[..7], b"x"].concat();
        let many = b"\0V".repeat(MAX_VALUES + 1);
        for (bytes, expected) in [
            (start(&nested(b'F', 300)), "nested too deeply"),
            (start(&nested(b'A', 15_000)), "nested too deeply"),
            (header(0, &nested(b'F', 15_000)), "nested too deeply"),
            (start(&nested(b'F', 100_000)), "larger than the negotiated limit"),
            (start(&length_prefix(&many)), "too many values"),
            (start(&[0, 0, 0, 9]), "malformed table"),
            // Methods with tables that only clients send.
            (frame(1, &[0, 50, 0, 10]), "a method that no broker sends"),
            (frame(1, &[0, 40, 0, 10]), "a method that no broker sends"),
            (frame(1, &[1, 10, 0, 20]), "a method that no broker sends"),
            (endless, "larger than the negotiated limit"),
            (unterminated, "sent a malformed frame"),
            (b"AMQP\x00\x00\x09\x01".to_vec(), "does not speak AMQP 0-9-1"),
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "does not speak AMQP on this port"),
            (b"\x15\x03\x03\x00\x02\x02\x0a".to_vec(), "use amqps://"),
        ] {
            let mut frames = sender();
            let error = frames.push(&bytes).expect_err(expected);
            assert!(format!("{error:?}").contains(expected), "{error:?}, not {expected}");
            assert!(frames.checked().is_empty());
        }
    }

    /// A receiver gets a harmful message without its headers, with a mark, and goes on.
    #[test]
    fn marks_deliveries_with_harmful_properties() {
        let many = length_prefix(&b"\0V".repeat(MAX_VALUES + 1));
        let no_text = frame(2, &[&[0, 60, 0, 0][..], &[0; 8], &[0x80, 0, 1, 0xff]].concat());
        for (bytes, reason) in [
            (header(5, &nested(b'F', 15_000)), "nested too deeply"),
            (header(5, &many), "too many values"),
            (header(5, &[0, 0, 0, 9]), "malformed"),
            (no_text, "malformed"),
        ] {
            let mut frames = receiver();
            let passed = pass(&mut frames, &bytes).unwrap();
            let text = String::from_utf8_lossy(&passed).into_owned();
            assert!(text.contains(DROPPED_HEADER) && text.contains(reason), "{text}");
            // The mark itself is a well-formed header, and the body follows it.
            assert_eq!(check_properties(&passed[HEADER_BYTES..passed.len() - 1]), Ok(()));
            assert_eq!(pass(&mut frames, &frame(3, b"12345")).unwrap(), frame(3, b"12345"));
        }
    }

    /// A body that is too large is dropped while it streams in, and the next message passes.
    #[test]
    fn drops_the_body_of_a_message_that_is_too_large() {
        let mut frames = receiver();
        let passed = pass(&mut frames, &header(101, &[0; 4])).unwrap();
        assert_eq!(passed[HEADER_BYTES + 4..HEADER_BYTES + 12], [0; 8]);
        assert!(String::from_utf8_lossy(&passed).contains("the body has 101 bytes, more than 100"));
        assert_eq!(pass(&mut frames, &frame(3, &[1; 100])).unwrap(), [0; 0]);
        assert_eq!(pass(&mut frames, &frame(3, &[1; 1])).unwrap(), [0; 0]);
        let next = [header(100, &[0; 4]), frame(3, &[1; 100])].concat();
        assert_eq!(pass(&mut frames, &next).unwrap(), next);
    }

    /// A channel that is opened again after it was closed inside a dropped body loses no other body.
    #[test]
    fn a_dropped_body_ends_with_its_channel() {
        let mut frames = receiver();
        pass(&mut frames, &header(300, &[0; 4])).unwrap();
        assert_eq!(pass(&mut frames, &frame(3, &[1; 100])).unwrap(), [0; 0]);
        let close = frame(1, &[0, 20, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(pass(&mut frames, &close).unwrap(), close);
        let next = [header(100, &[0; 4]), frame(3, &[1; 100])].concat();
        assert_eq!(pass(&mut frames, &next).unwrap(), next);
    }

    /// A routing key that is not UTF-8 would end lapin's connection at every delivery.
    #[test]
    fn replaces_texts_that_are_not_utf_8() {
        let deliver = |key: &[u8]| {
            let length = u8::try_from(key.len()).unwrap();
            let start = [&[0, 60, 0, 60, 1, b't'][..], &[0; 9], &[1, b'e', length]].concat();
            frame(1, &[&start, key].concat())
        };
        assert_eq!(pass(&mut receiver(), &deliver(b"a\xffb")).unwrap(), deliver(b"a?b"));
        let intact = deliver("ä".as_bytes());
        assert_eq!(pass(&mut receiver(), &intact).unwrap(), intact);
    }

    /// `glance-notify check` shows the product and version of the Connection.Start method.
    #[test]
    fn reads_the_product_from_the_greeting() {
        let table = b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8";
        let report = GuardReport::default();
        let mut frames = FrameBuffer::new(Amqp091Guard::sender(), report.clone());
        frames.push(&start(&length_prefix(table))).unwrap();
        assert_eq!(product(report.greeting().unwrap()), "RabbitMQ 3.10.8");

        let cut = b"\0\x0a\0\x0a\x07productS\xff\xff\xff\xffRabbit";
        assert_eq!(product(cut), "an AMQP 0-9-1 broker");
    }
}
