//! The JSON around a notification on a broker.

use std::borrow::Cow;

use notify_core::Message;
use serde::{Deserialize, Serialize};

/// The envelope of a notification: the form of a message's body on a broker.
///
/// oslo.messaging's consumers read both forms, so `bare` suits every consumer that reads JSON, and
/// `oslo-2.0` suits OpenStack services that expect the driver `messagingv2`. The specification is
/// oslo.messaging's `oslo_messaging/_drivers/common.py` (`serialize_msg`).
///
/// # Examples
///
/// ```
/// use notify_core::Message;
/// use notify_net::Envelope;
///
/// let body = concat!(
///     r#"{"message_id": "6f04b1a8-41b9-4a6b-a5a6-0b5f3f2b6c11", "publisher_id": "image.host1", "#,
///     r#""event_type": "image.update", "priority": "INFO", "#,
///     r#""timestamp": "2025-01-01 00:00:00.000000", "payload": {}}"#,
/// );
/// let message = Message::from_body(body.into())?;
/// assert_eq!(&*Envelope::Bare.wrap(&message), message.body());
/// assert!(Envelope::Oslo2.wrap(&message).starts_with(br#"{"oslo.version": "2.0""#));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Envelope {
    /// `bare`: the notification itself, as oslo.messaging's driver `messaging` sends it.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// `oslo-2.0`: an object with the keys `oslo.version` and `oslo.message`, where the latter holds
    /// the notification as a string. oslo.messaging's driver `messagingv2` sends this form.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
}

impl Envelope {
    /// Returns the bytes of `message` in this envelope.
    ///
    /// `Bare` borrows the message's body; `Oslo2` allocates.
    pub fn wrap(self, message: &Message) -> Cow<'_, [u8]> {
        match self {
            Self::Bare => Cow::Borrowed(message.body()),
            Self::Oslo2 => Cow::Owned(message.oslo_v2()),
        }
    }
}
