//! The rules of AMQP 1.0.
//!
//! A frame has this form; all numbers are big-endian (part 2, section 2.3.1):
//!
//! ```text
//! 0             4                   5      6         8                        size
//! ├ size (u32)  ┼ offset (4 bytes)  ┼ type ┼ channel ┼ performative ┼ payload ┤
//! ```
//!
//! The guard walks the performative of every frame. The payload of a `Transfer` is a part of a message;
//! the guard walks it too, and remembers each unfinished message until its last frame.

use std::collections::HashMap;

use crate::guard::report::GuardReport;
use crate::guard::rules::{FrameRules, Passage, Violation};
use crate::guard::value_scanner::ValueScanner;

/// The guard of a connection over AMQP 1.0. A harmful frame ends the connection.
#[derive(Debug, Default)]
pub struct Amqp10Guard {
    /// Whether the peer's protocol header has passed.
    has_header: bool,
    /// The messages that continue in a later frame, by channel and handle.
    messages: HashMap<(u16, u32), PartialMessage>,
}

/// A message whose last frame has not arrived.
#[derive(Debug, Default)]
struct PartialMessage {
    scanner: ValueScanner,
    /// The number of bytes so far.
    bytes: usize,
}

impl Amqp10Guard {
    /// Walks over the payload of a transfer.
    fn check_transfer(
        &mut self,
        channel: u16,
        performative: &[u8],
        payload: &[u8],
    ) -> Result<(), Violation> {
        let Some(transfer) = Transfer::read(performative) else { return Err(MALFORMED_FRAME) };
        let key = (channel, transfer.handle);
        let mut message = self.messages.remove(&key).unwrap_or_default();
        message.bytes += payload.len();
        if message.bytes > MAX_MESSAGE_BYTES {
            return Err(Violation::Frame("sent a message that is too large"));
        }
        let mut rest = payload;
        while !rest.is_empty() {
            let (read, _) = message.scanner.scan(rest)?;
            rest = &rest[read..];
        }
        if transfer.is_last {
            // An aborted message may end anywhere.
            return if transfer.is_aborted || message.scanner.is_between_values() {
                Ok(())
            } else {
                Err(Violation::Frame("sent a message that ends inside a value"))
            };
        }
        if self.messages.len() == MAX_MESSAGES {
            return Err(Violation::Frame("sent too many unfinished messages"));
        }
        self.messages.insert(key, message);
        Ok(())
    }
}

impl FrameRules for Amqp10Guard {
    fn frame_length(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        if !self.has_header {
            // The client library checks the header, and its error names the peer's protocol.
            return Ok((bytes.len() >= HEADER_BYTES).then_some(HEADER_BYTES));
        }
        let Some(&size) = bytes.first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes(size);
        match usize::try_from(size) {
            Ok(length) if length < HEADER_BYTES => Err(MALFORMED_FRAME),
            Ok(length) if size <= FRAME_MAX => Ok(Some(length)),
            _ => Err(Violation::Frame("sent a frame larger than the negotiated limit")),
        }
    }

    fn check(&mut self, frame: &[u8], report: &GuardReport) -> Result<Passage, Violation> {
        if !self.has_header {
            self.has_header = true;
            return Ok(Passage::Unchanged);
        }
        let &[_, _, _, _, offset, kind, high, low, ..] = frame else { return Err(MALFORMED_FRAME) };
        let offset = usize::from(offset) * 4;
        let Some(body) = frame.get(offset..).filter(|_| offset >= HEADER_BYTES && kind == 0) else {
            return Err(MALFORMED_FRAME);
        };
        if body.is_empty() {
            // A heartbeat.
            return Ok(Passage::Unchanged);
        }
        let performative = check_value(body)?;
        let (performative, payload) = body.split_at(performative);
        if Transfer::describes(performative) {
            self.check_transfer(u16::from_be_bytes([high, low]), performative, payload)?;
        } else if !payload.is_empty() {
            return Err(MALFORMED_FRAME);
        }
        report.record_greeting(body);
        Ok(Passage::Unchanged)
    }
}

/// Checks the value that `bytes` begins with, and returns its length.
///
/// Call it before you decode a value that a peer sent outside of a guarded stream.
///
/// # Errors
///
/// A violation if the value is malformed, incomplete, nested too deeply, or too large.
///
/// # Examples
///
/// ```
/// use notify_net::guard::amqp10::check_value;
///
/// let text = b"\xa1\x02hi";
/// assert_eq!(check_value(text), Ok(4));
///
/// // A described value whose descriptor is a described value, and so on.
/// assert!(check_value(&[0; 100]).is_err());
/// ```
pub fn check_value(bytes: &[u8]) -> Result<usize, Violation> {
    match ValueScanner::default().scan(bytes)? {
        (length, true) => Ok(length),
        (_, false) => Err(MALFORMED_FRAME),
    }
}

/// The fields of a `Transfer` that tell which message it continues (section 2.7.5).
#[derive(Debug, PartialEq, Eq)]
struct Transfer {
    handle: u32,
    is_last: bool,
    is_aborted: bool,
}

impl Transfer {
    /// Returns whether a performative is a transfer, by its numeric or symbolic descriptor.
    fn describes(performative: &[u8]) -> bool {
        let descriptor = performative.get(1..).unwrap_or_default();
        [
            &b"\x53\x14"[..],
            b"\x80\0\0\0\0\0\0\0\x14",
            b"\xa3\x12amqp:transfer:list",
            b"\xb3\0\0\0\x12amqp:transfer:list",
        ]
        .iter()
        .any(|transfer| descriptor.starts_with(transfer))
    }

    /// Reads a checked performative. Returns `None` if its fields have other types than a transfer's.
    fn read(performative: &[u8]) -> Option<Self> {
        let list = performative.get(1..)?;
        let list = list.get(check_value(list).ok()?..)?;
        let mut rest = match list.first()? {
            0x45 => &[],
            0xc0 => list.get(3..)?,
            0xd0 => list.get(9..)?,
            _ => return None,
        };
        let mut fields = [&[][..]; 10];
        for field in &mut fields {
            if rest.is_empty() {
                break;
            }
            (*field, rest) = rest.split_at(check_value(rest).ok()?);
        }
        let handle = match *fields[0] {
            [0x43] => 0,
            [0x52, handle] => u32::from(handle),
            [0x70, a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return None,
        };
        let is_true = |field: &[u8]| matches!(field, [0x41] | [0x56, 1]);
        let is_aborted = is_true(fields[9]);
        Some(Self { handle, is_last: !is_true(fields[5]) || is_aborted, is_aborted })
    }
}

/// The largest frame that a peer may send, in bytes. Tell it to the client library too.
pub const FRAME_MAX: u32 = 256 * 1024;
/// The length of the protocol header and of a frame's header, in bytes.
const HEADER_BYTES: usize = 8;
/// The largest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The most messages that may be unfinished at a time.
const MAX_MESSAGES: usize = 256;
const MALFORMED_FRAME: Violation = Violation::Frame("sent a malformed frame");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::MAX_DEPTH;
    use crate::guard::frame_buffer::FrameBuffer;

    /// Creates a buffer behind the protocol header.
    fn frames() -> FrameBuffer<Amqp10Guard> {
        let mut frames = FrameBuffer::new(Amqp10Guard::default(), GuardReport::default());
        frames.push(b"AMQP\0\x01\0\0").unwrap();
        frames.consume(8);
        frames
    }

    /// Builds a frame on a channel.
    fn frame(channel: u16, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], &[2, 0], &channel.to_be_bytes(), body].concat()
    }

    /// Builds a list, a map or an array with the long form of size and count.
    fn compound(constructor: u8, count: u32, items: &[u8]) -> Vec<u8> {
        let size = u32::try_from(items.len() + 4).unwrap();
        [&[constructor][..], &size.to_be_bytes(), &count.to_be_bytes(), items].concat()
    }

    /// Builds `depth` values of the kind `constructor` inside each other.
    fn nested(constructor: u8, depth: usize) -> Vec<u8> {
        let count = if constructor == 0xd1 { 2 } else { 1 };
        (0..depth).fold(vec![0x40], |inner, _| {
            let inner = if constructor == 0xd1 { [&[0x43][..], &inner].concat() } else { inner };
            compound(constructor, count, &inner)
        })
    }

    /// Builds a performative with these fields.
    fn performative(code: u8, count: u32, fields: &[u8]) -> Vec<u8> {
        [&[0, 0x53, code][..], &compound(0xd0, count, fields)].concat()
    }

    /// Builds a transfer frame on a handle.
    fn transfer(handle: u8, more: bool, payload: &[u8]) -> Vec<u8> {
        let more = if more { 0x41 } else { 0x42 };
        let fields = [0x52, handle, 0x43, 0xa0, 1, 9, 0x43, 0x42, more];
        frame(1, &[performative(0x14, 6, &fields), payload.to_vec()].concat())
    }

    /// Frames pass unchanged and only as a whole, however the network slices the stream.
    #[test]
    fn passes_on_only_whole_frames() {
        let annotations = compound(0xd1, 2, b"\xa3\x01k\xa1\x01v");
        let array = compound(0xf0, 2, &[0xa3, 1, b'a', 1, b'b']);
        let message = [&[0, 0x53, 0x72][..], &annotations, b"\0\x53\x75\xa0\x02{}"].concat();
        let stream = [
            frame(0, &performative(0x10, 3, &[&b"\xa1\x01c\x45"[..], &array].concat())),
            frame(0, &[]),
            frame(1, &performative(0x15, 2, &[0x41, 0x43])),
            transfer(3, false, &message),
        ]
        .concat();
        for slice in [1, 7, 4096] {
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

    /// No nesting from a peer overflows a stack: every kind of nesting, in every performative and in the
    /// annotations of a message, stops at the limit.
    #[test]
    fn stops_deep_nesting_everywhere() {
        let described = |depth| [vec![0; depth], vec![0x40; depth + 1]].concat();
        for deep in [nested(0xd0, 8_000), nested(0xd1, 8_000), described(100_000)] {
            for code in 0x10..=0x18 {
                let error = frames().push(&frame(0, &performative(code, 1, &deep))).unwrap_err();
                assert!(format!("{error:?}").contains("nested too deeply"), "{error:?}");
            }
            let annotations = [&[0, 0x53, 0x72][..], &deep].concat();
            let error = frames().push(&transfer(0, false, &annotations)).unwrap_err();
            assert!(format!("{error:?}").contains("nested too deeply"), "{error:?}");
        }
        // The performative itself has two levels.
        let shallow = performative(0x11, 1, &nested(0xd0, MAX_DEPTH - 2));
        frames().push(&frame(0, &shallow)).unwrap();
    }

    /// Nesting that is split over many frames of one message is still nesting, and messages on other
    /// handles do not matter.
    #[test]
    fn follows_a_message_across_frames() {
        let deep = [&[0, 0x53, 0x72][..], &nested(0xd0, 100)].concat();
        let mut frames = frames();
        let mut result = Ok(());
        for part in deep.chunks(10) {
            result = frames.push(&transfer(1, true, part));
            frames.push(&transfer(2, false, b"\0\x53\x75\xa0\x02{}")).unwrap();
            if result.is_err() {
                break;
            }
        }
        assert!(format!("{result:?}").contains("nested too deeply"), "{result:?}");
    }

    /// Malformed and unbounded input becomes an error.
    #[test]
    fn stops_malformed_frames() {
        for (bytes, expected) in [
            (u32::MAX.to_be_bytes().to_vec(), "larger than the negotiated limit"),
            (vec![0; 8], "malformed frame"),
            (b"\0\0\0\x08\x01\0\0\0".to_vec(), "malformed frame"),
            (frame(0, b"\0\x53\x10"), "malformed frame"),
            (frame(0, &[performative(0x10, 0, &[]), vec![0x40]].concat()), "malformed frame"),
            // An array of four billion values that take no bytes.
            (frame(0, &performative(0x10, 1, &compound(0xf0, u32::MAX, &[0x40]))), "too many"),
            // The items are longer or shorter than the size of their list.
            (frame(0, &performative(0x10, 1, &[0xc0, 3, 1, 0xa1, 9, 9])), "malformed value"),
            (frame(0, &performative(0x10, 2, &[0xc0, 3, 1, 0x40, 0x40])), "malformed value"),
            // A map with a key and no value.
            (frame(0, &performative(0x10, 1, &compound(0xd1, 1, &[0x40]))), "malformed value"),
            // Arrays that serde_amqp reads in another way than the specification says.
            (frame(0, &performative(0x10, 1, &nested(0xf0, 8_000))), "malformed value"),
            (
                frame(0, &performative(0x10, 1, &compound(0xf0, 1, &[0, 0x40, 0x40]))),
                "malformed value",
            ),
            (frame(0, &performative(0x10, 1, &compound(0xf0, 0, &[0xa3]))), "malformed value"),
            (frame(0, &performative(0x10, 1, &[0xff])), "malformed value"),
            (transfer(0, false, b"\0\x53\x75\xa0\x09{}"), "ends inside a value"),
        ] {
            let error = frames().push(&bytes).expect_err(expected);
            assert!(format!("{error:?}").contains(expected), "{error:?}, not {expected}");
        }
    }

    /// The number of unfinished messages is bounded.
    #[test]
    fn bounds_unfinished_messages() {
        let mut frames = frames();
        let part = |handle: u32| {
            let fields = [&[0x70][..], &handle.to_be_bytes(), &[0x40, 0x40, 0x40, 0x40, 0x41]];
            frame(1, &[performative(0x14, 6, &fields.concat()), vec![0, 0x53, 0x75]].concat())
        };
        let result = (0..1000).try_for_each(|handle| frames.push(&part(handle)));
        assert!(format!("{result:?}").contains("too many unfinished messages"), "{result:?}");
    }
}
