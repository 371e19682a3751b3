//! The guard in front of fe2o3-amqp, compared with the decoder that fe2o3-amqp uses.

use notify_net::guard::amqp10::{Amqp10Guard, check_value};
use notify_net::guard::{FrameRules as _, GuardReport, MAX_DEPTH};
use serde_amqp::Value;
use serde_amqp::described::Described;

/// Checks the input as a stream of frames, as a value, and as the payload of a message.
pub fn amqp10_guard(bytes: &[u8]) {
    // The decoder under test recurses, so its input must stay small enough for the stack.
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    check_stream(bytes);
    // The decoder panics at some values that do not pass.
    if check_value(bytes).is_ok()
        && let Ok(value) = serde_amqp::from_slice::<Value>(bytes)
    {
        // The guard does not count a list without items as a level.
        assert!(depth(&value) <= MAX_DEPTH + 1, "too deep: {bytes:?}");
    }
    check_slices(bytes);
}

/// Cuts the input into frames as a guarded stream does.
fn check_stream(bytes: &[u8]) {
    let mut guard = Amqp10Guard::default();
    let _ = guard.check(b"AMQP\0\x01\0\0", &GuardReport::default());
    let mut rest = bytes;
    while let Ok(Some(length)) = guard.frame_length(rest) {
        let Some(frame) = rest.get(..length) else { break };
        if guard.check(frame, &GuardReport::default()).is_err() {
            break;
        }
        rest = &rest[length..];
    }
}

/// Checks that a message in one frame and the same message in many have the same result.
fn check_slices(bytes: &[u8]) {
    let whole = send(&[bytes]);
    for length in [1, 3, 100] {
        let slices: Vec<_> = bytes.chunks(length).collect();
        if !slices.is_empty() {
            assert_eq!(send(&slices), whole, "slices of {length}: {bytes:?}");
        }
    }
}

/// Sends the slices as the payload of one message. Returns whether all frames pass.
fn send(slices: &[&[u8]]) -> bool {
    let mut guard = Amqp10Guard::default();
    let _ = guard.check(b"AMQP\0\x01\0\0", &GuardReport::default());
    slices.iter().enumerate().all(|(index, slice)| {
        let more = if index + 1 < slices.len() { 0x41 } else { 0x42 };
        let transfer = [0, 0x53, 0x14, 0xc0, 9, 6, 0x43, 0x43, 0xa0, 0, 0x43, 0x42, more, 0];
        let body = [&transfer[..13], slice].concat();
        let size = u32::try_from(body.len() + 8).unwrap_or(0).to_be_bytes();
        let frame = [&size[..], &[2, 0, 0, 1], &body].concat();
        guard.check(&frame, &GuardReport::default()).is_ok()
    })
}

/// Returns the number of levels of a value.
fn depth(value: &Value) -> usize {
    match value {
        Value::Described(described) => {
            let Described { value, .. } = &**described;
            1 + depth(value)
        }
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => {
            1 + map.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// The longest input, in bytes.
const MAX_BYTES: usize = 4096;
