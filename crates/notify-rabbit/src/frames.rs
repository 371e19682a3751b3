//! Encodes frames of AMQP 0-9-1.

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
