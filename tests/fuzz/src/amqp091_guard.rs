//! The guard in front of lapin, compared with the decoder that lapin uses.

use amq_protocol::frame::AMQPFrame;
use amq_protocol::frame::parsing::parse_frame;
use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use notify_net::guard::amqp091::Amqp091Guard;
use notify_net::guard::{FrameRules as _, GuardReport, MAX_DEPTH, MAX_VALUES, Passage, Violation};

/// Checks the input as a stream of frames, as the properties of a message, and as a broker's greeting.
pub fn amqp091_guard(bytes: &[u8]) {
    // The decoder under test recurses, so its input must stay small enough for the stack.
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    check_stream(bytes);
    let properties = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], bytes].concat();
    check_frame(&frame(2, &properties));
    let table = [&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes()[..], bytes].concat();
    let headers = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0][..], &table].concat();
    check_frame(&frame(2, &headers));
    let start = [&[0, 10, 0, 10, 0, 9][..], &table, &[0; 8]].concat();
    check_frame(&frame(1, &start));
}

/// Cuts the input into frames as a guarded stream does.
fn check_stream(bytes: &[u8]) {
    let mut guard = Amqp091Guard::receiver(1000);
    let mut rest = bytes;
    while let Ok(Some(length)) = guard.frame_length(rest) {
        let Some(frame) = rest.get(..length) else { break };
        let _ = guard.check(frame, &GuardReport::default());
        rest = &rest[length..];
    }
}

/// Checks that the sender's guard passes exactly the frames that the decoder decodes within the
/// limits, and that the decoder decodes all that the receiver's guard passes.
fn check_frame(frame: &[u8]) {
    let decoded = parse_frame(frame).ok().map(|(_, frame)| frame);
    let sender = Amqp091Guard::sender().check(frame, &GuardReport::default());
    match (&sender, decoded.as_ref().and_then(table)) {
        (Ok(_), Some(table)) => {
            let harmless = depth(table) <= MAX_DEPTH && table.inner().len() <= MAX_VALUES;
            assert!(harmless, "{frame:?}");
        }
        (Err(violation), Some(_)) => {
            // A decoded table can be smaller than its encoding, because equal keys replace each other.
            assert!(is_about_limits(*violation), "{violation:?}: {frame:?}");
        }
        (_, None) => {}
    }
    if let Ok(Passage::Replaced(frame)) =
        Amqp091Guard::receiver(1000).check(frame, &GuardReport::default())
    {
        assert!(frame.is_empty() || parse_frame(&frame[..]).is_ok(), "{frame:?}");
    }
}

/// Returns whether the guard refused a frame for its depth or its number of values.
fn is_about_limits(violation: Violation) -> bool {
    let text = format!("{violation:?}");
    text.contains("too many values") || text.contains("too deeply")
}

/// Returns the table of a decoded frame.
fn table(frame: &AMQPFrame) -> Option<&FieldTable> {
    match frame {
        AMQPFrame::Header(_, header) => header.properties.headers().as_ref(),
        AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Start(start))) => {
            Some(&start.server_properties)
        }
        _ => None,
    }
}

/// Returns the depth of a table: 1 without nested values.
fn depth(table: &FieldTable) -> usize {
    1 + table.inner().values().map(depth_of_value).max().unwrap_or(0)
}

/// Returns the number of levels that a value adds.
fn depth_of_value(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::FieldTable(table) => depth(table),
        AMQPValue::FieldArray(array) => {
            1 + array.as_slice().iter().map(depth_of_value).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Builds a frame on channel 1.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [&[kind, 0, 1][..], &size, payload, &[0xce]].concat()
}

/// The longest input, in bytes.
const MAX_BYTES: usize = 4096;
