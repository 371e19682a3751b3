//! The messages of a model case, and the parts that must come out of the spool unchanged.

use notify_conformance::samples;
use notify_core::codec::Sequence;
use notify_core::{Context, Message};
use uuid::Uuid;

use super::environment::lane_of;

/// The body, the context and the sequence of a message.
pub(crate) type MessageParts = (Vec<u8>, Context, Option<Sequence>);

/// Returns the message with a number. A third of them have neither a context nor a sequence, and a third have
/// no sequence, as messages that were sent again.
pub(crate) fn model_message(number: u64) -> Message {
    let message = samples::encode(&samples::notification(number));
    if number.is_multiple_of(3) {
        return message;
    }
    let context = Context::builder().user(format!("user-{number}")).project("web");
    let message = message.with_context(context.build().unwrap());
    if number % 3 == 1 {
        return message;
    }
    let lane = format!("lane {}", lane_of(message.id()));
    message.with_sequence(Sequence::new(Uuid::from_u128(7), &lane, number))
}

/// Returns the parts of a message.
pub(crate) fn parts(message: &Message) -> MessageParts {
    (message.body().to_vec(), message.context().clone(), message.sequence().cloned())
}
