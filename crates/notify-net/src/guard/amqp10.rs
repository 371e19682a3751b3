//! The rules of AMQP 1.0.
//!
//! A frame has this form; all numbers are big-endian (part 2, section 2.3.1):
//!
//! ```text
//! 0             4                   5      6         8                        size
//! ├ size (u32)  ┼ offset (4 bytes)  ┼ type ┼ channel ┼ performative ┼ payload ┤
//! ```
//!
//! The guard walks the performative of every frame. It also bounds the deliveries of a `Disposition`, because
//! the client library takes time for each of them. The payload of a `Transfer` is a part of a message;
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
        if has_descriptor(performative, &TRANSFER) {
            self.check_transfer(u16::from_be_bytes([high, low]), performative, payload)?;
        } else if !payload.is_empty() {
            return Err(MALFORMED_FRAME);
        } else if has_descriptor(performative, &DISPOSITION) {
            check_disposition(performative)?;
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

/// Checks that a disposition names no more deliveries than a window holds.
///
/// The client library looks up every delivery from the first to the last without a pause, so a range of
/// four billion would block its thread for minutes.
fn check_disposition(performative: &[u8]) -> Result<(), Violation> {
    match delivery_distance(performative) {
        Some(distance) if distance < MAX_DELIVERIES => Ok(()),
        Some(_) => Err(Violation::Frame("settled messages that were never sent")),
        None => Err(MALFORMED_FRAME),
    }
}

/// Returns the distance from the first to the last delivery of a checked disposition (section 2.7.6). Returns
/// `None` if its fields have other types than a disposition's.
fn delivery_distance(performative: &[u8]) -> Option<u32> {
    let [_, first, last] = read_fields(performative)?;
    let first = read_uint(first)?;
    match last {
        // Without a last delivery, the first is the only one.
        [] | [0x40] => Some(0),
        // Delivery numbers start again at 0 after the largest one.
        last => Some(read_uint(last)?.wrapping_sub(first)),
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
    /// Reads a checked performative. Returns `None` if its fields have other types than a transfer's.
    fn read(performative: &[u8]) -> Option<Self> {
        let [handle, _, _, _, _, more, _, _, _, aborted] = read_fields(performative)?;
        let handle = read_uint(handle)?;
        let is_true = |field: &[u8]| matches!(field, [0x41] | [0x56, 1]);
        let is_aborted = is_true(aborted);
        Some(Self { handle, is_last: !is_true(more) || is_aborted, is_aborted })
    }
}

/// Returns whether a performative has one of `descriptors`.
fn has_descriptor(performative: &[u8], descriptors: &[&[u8]]) -> bool {
    let descriptor = performative.get(1..).unwrap_or_default();
    descriptors.iter().any(|expected| descriptor.starts_with(expected))
}

/// Returns the first fields of a checked performative. An absent field is empty.
fn read_fields<const COUNT: usize>(performative: &[u8]) -> Option<[&[u8]; COUNT]> {
    let list = performative.get(1..)?;
    let list = list.get(check_value(list).ok()?..)?;
    let mut rest = match list.first()? {
        0x45 => &[],
        0xc0 => list.get(3..)?,
        0xd0 => list.get(9..)?,
        _ => return None,
    };
    let mut fields = [&[][..]; COUNT];
    for field in &mut fields {
        if rest.is_empty() {
            break;
        }
        (*field, rest) = rest.split_at(check_value(rest).ok()?);
    }
    Some(fields)
}

/// Reads a field of the type `uint`, in each of its encodings.
fn read_uint(field: &[u8]) -> Option<u32> {
    match *field {
        [0x43] => Some(0),
        [0x52, number] => Some(u32::from(number)),
        [0x70, a, b, c, d] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
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
/// The most deliveries that one disposition may name: the largest `qpid.window`.
const MAX_DELIVERIES: u32 = 65_536;
/// The descriptors of a `Transfer`, numeric and symbolic.
const TRANSFER: [&[u8]; 4] = [
    b"\x53\x14",
    b"\x80\0\0\0\0\0\0\0\x14",
    b"\xa3\x12amqp:transfer:list",
    b"\xb3\0\0\0\x12amqp:transfer:list",
];
/// The descriptors of a `Disposition`, numeric and symbolic.
const DISPOSITION: [&[u8]; 4] = [
    b"\x53\x15",
    b"\x80\0\0\0\0\0\0\0\x15",
    b"\xa3\x15amqp:disposition:list",
    b"\xb3\0\0\0\x15amqp:disposition:list",
];
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

    /// A disposition names as many deliveries as a window holds at most, in every encoding and across the
    /// largest delivery number. Without a last delivery it names one.
    #[test]
    fn bounds_the_deliveries_of_a_disposition() {
        for (count, fields) in [
            (2, &b"\x41\x43"[..]),
            (3, b"\x41\x43\x40"),
            (3, b"\x41\x43\x43"),
            (3, b"\x41\x52\x09\x52\xc8"),
            (3, b"\x41\x70\xff\xff\xff\xff\x43"),
            (5, b"\x41\x43\x70\0\0\xff\xff\x41\0\x53\x24\x45"),
        ] {
            frames().push(&frame(1, &performative(0x15, count, fields))).expect("it passes");
        }
        for (count, fields, expected) in [
            (3, &b"\x41\x43\x70\xff\xff\xff\xff"[..], "never sent"),
            (3, b"\x41\x43\x70\0\x01\0\0", "never sent"),
            (3, b"\x41\x52\x02\x70\0\x01\0\x02", "never sent"),
            (3, b"\x41\x52\x01\x43", "never sent"),
            (1, b"\x41", "malformed frame"),
            (3, b"\x41\x40\x43", "malformed frame"),
            (3, b"\x41\x43\x41", "malformed frame"),
        ] {
            let frame = frame(1, &performative(0x15, count, fields));
            let error = frames().push(&frame).expect_err(expected);
            assert!(format!("{error:?}").contains(expected), "{error:?}, not {expected}");
        }
        let short = b"\xc0\x08\x03\x41\x43\x70\xff\xff\xff\xff";
        for descriptor in DISPOSITION {
            let frame = frame(1, &[b"\0", descriptor, short].concat());
            let error = frames().push(&frame).expect_err("it names four billion");
            assert!(format!("{error:?}").contains("never sent"), "{error:?}");
        }
    }
}
