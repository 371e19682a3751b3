//! The content of a delivery: a redacted message, or the reason why it is none.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use time::OffsetDateTime;

use super::config::ListenerConfig;
use crate::codec::context::Context;
use crate::codec::encode::Encoding;
use crate::codec::message::Message;
use crate::codec::notification::Notification;
use crate::codec::notification_input::LineContents;
use crate::codec::payload_style::PayloadStyle;
use crate::codec::sequence::Sequence;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{IncomingBody, IncomingDelivery, Position};

/// One delivery as the listener keeps it: decoded, redacted, and never changed.
#[derive(Debug)]
pub(super) struct DeliveryContent {
    /// The position in the source.
    pub(super) position: Position,
    /// The time of reception, in UTC.
    pub(super) received_at: OffsetDateTime,
    /// Whether a consumer may have seen the message before.
    pub(super) redelivered: bool,
    /// The context that came beside the body, or else on its line.
    pub(super) context: Context,
    /// The publisher's number.
    pub(super) sequence: Option<Sequence>,
    /// The message, or the bytes that hold none.
    pub(super) message: Result<Message, UnreadableMessage>,
    /// The notification of the message, from the first call that asks for it.
    notification: OnceLock<Option<Notification>>,
}

/// The bytes of a delivery that holds no notification, with the reason.
///
/// The bytes are unredacted: store them only in files with the mode 0600. `Debug` shows their
/// number and the reason.
///
/// # Examples
///
/// ```
/// use notify_core::listener::UnreadableMessage;
///
/// /// Returns one line for a log.
/// fn describe(unreadable: &UnreadableMessage) -> String {
///     format!("{} bytes: {}", unreadable.size, unreadable.reason)
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct UnreadableMessage {
    /// The reason, which repeats nothing that may be a secret.
    pub reason: Error,
    /// The size of the message in bytes, as far as it is known.
    pub size: u64,
    /// The bytes; empty if the source discarded a message that is too large.
    pub bytes: Bytes,
}

impl fmt::Debug for UnreadableMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadableMessage({} bytes: {})", self.size, self.reason)
    }
}

impl DeliveryContent {
    /// Decodes and redacts a delivery.
    pub(super) fn decode(
        incoming: IncomingDelivery,
        received_at: OffsetDateTime,
        config: &ListenerConfig,
    ) -> Self {
        let (mut context, mut sequence) = (incoming.context, incoming.sequence);
        let decoded = decode(incoming.body, config);
        if context.is_empty() {
            context = match &decoded {
                Ok(decoded) => decoded.context.clone(),
                Err(unreadable) => Context::of_log_line(&unreadable.bytes),
            };
        }
        if let (None, Ok(decoded)) = (&sequence, &decoded) {
            sequence.clone_from(&decoded.sequence);
        }
        Self {
            position: incoming.position,
            received_at,
            redelivered: incoming.redelivered,
            context,
            sequence,
            message: decoded.map(|decoded| decoded.message),
            notification: OnceLock::new(),
        }
    }

    /// Returns the notification of the message, redacted.
    pub(super) fn notification(&self) -> Option<&Notification> {
        let message = self.message.as_ref().ok()?;
        // A message that was encoded a moment ago is readable.
        self.notification.get_or_init(|| Notification::from_message(message).ok()).as_ref()
    }
}

/// A body that was read: the message, and what the body holds beside the notification.
struct DecodedBody {
    message: Message,
    context: Context,
    sequence: Option<Sequence>,
}

/// Reads the notification in `body` and encodes it again, redacted.
fn decode(body: IncomingBody, config: &ListenerConfig) -> Result<DecodedBody, UnreadableMessage> {
    let (reason, size, bytes) = match body {
        IncomingBody::Bytes(bytes) => match read(&bytes, config) {
            Ok(decoded) => return Ok(decoded),
            Err(reason) => (reason, bytes.len() as u64, bytes),
        },
        IncomingBody::Unusable(bytes, reason) => {
            (Error::new(ErrorKind::Invalid, reason), bytes.len() as u64, bytes)
        }
        IncomingBody::TooLarge(size) => {
            (config.limits.size_error(&format!("{size} bytes")), size, Bytes::new())
        }
    };
    Err(UnreadableMessage { reason, size, bytes })
}

/// Reads a whole notification.
fn read(bytes: &[u8], config: &ListenerConfig) -> Result<DecodedBody> {
    let encoding = Encoding {
        payloads: PayloadStyle::default(),
        redact: config.redact,
        limits: config.limits,
    };
    let mut line = LineContents::decode(bytes, &config.limits)?;
    let (context, sequence) = (std::mem::take(&mut line.context), line.sequence.take());
    let message = line.encode(&encoding)?;
    Ok(DecodedBody { message, context, sequence })
}
