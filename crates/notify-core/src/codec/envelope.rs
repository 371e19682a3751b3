//! The envelopes of a message on a broker or in a log: [`Envelope`].
//!
//! This module knows no protocol: a transport decides where it puts the attributes of a CloudEvent.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::cloud_event::CloudEvent;
use super::message::Message;

/// The envelope of a notification: the form of a message's body at a destination.
///
/// oslo.messaging's consumers read the first two forms, so `bare` suits every consumer that reads JSON, and
/// `oslo-2.0` suits OpenStack services that expect the driver `messagingv2`. The specification is
/// oslo.messaging's `oslo_messaging/_drivers/common.py` (`serialize_msg`). The other two forms suit consumers
/// of [CloudEvents](CloudEvent), and oslo.messaging does not read them.
///
/// # Examples
///
/// ```
/// use notify_core::Message;
/// use notify_core::codec::Envelope;
///
/// let body = concat!(
///     r#"{"message_id": "6f04b1a8-41b9-4a6b-a5a6-0b5f3f2b6c11", "publisher_id": "image.host1", "#,
///     r#""event_type": "image.update", "priority": "INFO", "#,
///     r#""timestamp": "2025-01-01 00:00:00.000000", "payload": {}}"#,
/// );
/// let message = Message::from_body(body.into())?;
/// assert_eq!(&*Envelope::Bare.wrap(&message), message.body());
/// assert!(Envelope::Oslo2.wrap(&message).starts_with(br#"{"oslo.version": "2.0""#));
/// assert!(Envelope::CloudEvents.wrap(&message).starts_with(br#"{"specversion":"1.0""#));
/// assert_eq!(&*Envelope::CloudEventsBinary.wrap(&message), b"{}");
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Envelope {
    /// `bare`: the notification itself, as oslo.messaging's driver `messaging` sends it.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// `oslo-2.0`: an object with the keys `oslo.version` and `oslo.message`, where the latter holds
    /// the notification as a string. oslo.messaging's driver `messagingv2` sends this form.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
    /// `cloudevents`: a CloudEvent in structured mode, one JSON object with all attributes and the payload.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// `cloudevents-binary`: a CloudEvent in binary mode. The body is the payload alone, and the
    /// [attributes](Self::attributes) are headers.
    #[serde(rename = "cloudevents-binary")]
    CloudEventsBinary,
}

impl Envelope {
    /// Returns the body of `message` in this envelope.
    ///
    /// `Bare` and `CloudEventsBinary` borrow from the message; the others allocate.
    pub fn wrap(self, message: &Message) -> Cow<'_, [u8]> {
        match self {
            Self::Bare => Cow::Borrowed(message.body()),
            Self::Oslo2 => Cow::Owned(message.oslo_v2()),
            Self::CloudEvents => Cow::Owned(message.cloud_event().to_json()),
            Self::CloudEventsBinary => Cow::Borrowed(message.cloud_event().data().as_bytes()),
        }
    }

    /// Returns the attributes of the CloudEvent that a broker must carry as headers: none, except in binary
    /// mode.
    ///
    /// The binding of each protocol has a prefix for their names.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Message;
    /// use notify_core::codec::Envelope;
    ///
    /// /// Returns the headers of a message for a broker that has AMQP 1.0.
    /// fn headers(message: &Message) -> Vec<(String, String)> {
    ///     let attributes = Envelope::CloudEventsBinary.attributes(message);
    ///     attributes.map(|(name, value)| (format!("cloudEvents_{name}"), value.into_owned())).collect()
    /// }
    /// # drop(headers);
    /// ```
    pub fn attributes(
        self,
        message: &Message,
    ) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let is_binary = self == Self::CloudEventsBinary;
        is_binary.then(|| message.cloud_event().attributes()).into_iter().flatten()
    }

    /// Returns the media type of the body.
    pub const fn content_type(self) -> &'static str {
        match self {
            // oslo.messaging's consumers drop messages whose content type has a parameter, so the text must
            // be exactly this.
            Self::Bare | Self::Oslo2 => "application/json",
            Self::CloudEvents => CloudEvent::MEDIA_TYPE,
            Self::CloudEventsBinary => CloudEvent::DATA_CONTENT_TYPE,
        }
    }
}
