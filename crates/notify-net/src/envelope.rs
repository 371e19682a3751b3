//! What is put around a notification for those who read it off a broker.

use std::borrow::Cow;

use notify_core::Message;
use serde::Deserialize;

/// What the body of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Envelope {
    /// The notification itself, as oslo.messaging's driver `messaging` sends it.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// The notification as a string inside an object with a version, as `messagingv2` sends it.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
}

impl Envelope {
    /// The notification in this envelope.
    pub fn wrap(self, message: &Message) -> Cow<'_, [u8]> {
        match self {
            Self::Bare => Cow::Borrowed(message.body()),
            Self::Oslo2 => Cow::Owned(message.oslo_v2()),
        }
    }
}
