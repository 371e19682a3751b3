//! The payload of `image.send`: [`ImageSend`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec::json_writer::debug_as_redacted_json;
use crate::codec::wire_text::serialize_id;

/// The payload of `image.send`: Glance sent data of an image to a consumer.
///
/// At the priority `ERROR`, `bytes_sent` is less than the size of the image.
///
/// # Examples
///
/// ```
/// use notify_core::event::ImageSend;
/// use notify_core::{Event, Priority};
/// use uuid::Uuid;
///
/// let mut sent = ImageSend::new(Uuid::from_u128(1), 3_221_225_472);
/// sent.destination_ip = Some([192, 0, 2, 7].into());
/// let event = Event::ImageSend(Priority::Info, sent);
/// # drop(event);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ImageSend {
    /// The number of bytes sent.
    pub bytes_sent: u64,
    /// The IP address of the receiver. Glance omits it if it does not know it; null means the same to
    /// every consumer.
    pub destination_ip: Option<IpAddr>,
    /// The image id.
    #[serde(serialize_with = "serialize_id")]
    pub image_id: Uuid,
    /// The id of the project that owns the image, from Keystone.
    pub owner_id: Option<String>,
    /// The id of the receiving project, from Keystone.
    pub receiver_tenant_id: Option<String>,
    /// The id of the receiving user, from Keystone.
    pub receiver_user_id: Option<String>,
}

impl ImageSend {
    /// Creates the payload for `bytes_sent` bytes of image `image_id`, with an unknown receiver.
    pub fn new(image_id: Uuid, bytes_sent: u64) -> Self {
        Self {
            bytes_sent,
            destination_ip: None,
            image_id,
            owner_id: None,
            receiver_tenant_id: None,
            receiver_user_id: None,
        }
    }
}

debug_as_redacted_json!(ImageSend);
