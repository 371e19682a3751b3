//! The frames of AMQP 0-9-1 (section 4.2.3): their encoding and their lengths.

use std::sync::Arc;

use amq_protocol::frame::{AMQPFrame, gen_frame};

/// Appends a frame to `bytes`.
///
/// # Errors
///
/// lapin's error of a value that a frame cannot hold. `bytes` is empty then.
pub(crate) fn append(bytes: &mut Vec<u8>, frame: &AMQPFrame) -> lapin::Result<()> {
    match gen_frame(frame)(std::mem::take(bytes).into()) {
        Ok(context) => {
            *bytes = context.into_inner().0;
            Ok(())
        }
        Err(error) => Err(lapin::ErrorKind::SerialisationError(Arc::new(error)).into()),
    }
}

/// Encodes one frame.
#[cfg(test)]
pub(crate) fn encode(frame: &AMQPFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, frame).unwrap();
    bytes
}

/// The length of a frame's header in bytes: its type, its channel and its size.
pub(crate) const HEADER_BYTES: usize = 7;
/// The bytes of a frame beside its payload: its header and its last byte.
pub(crate) const FRAME_OVERHEAD: usize = HEADER_BYTES + 1;
