//! The payload of `image.send`: [`ImageSend`].

use std::net::IpAddr;

use uuid::Uuid;

use crate::codec::fields::Fields;
use crate::codec::json_writer::{JsonWriter, WriteJson};
use crate::codec::wire_object::{debug_as_redacted_json, wire};

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
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageSend {
    /// The image id.
    pub image_id: Uuid,
    /// The id of the project that owns the image, from Keystone.
    pub owner_id: Option<String>,
    /// The id of the receiving project, from Keystone.
    pub receiver_tenant_id: Option<String>,
    /// The id of the receiving user, from Keystone.
    pub receiver_user_id: Option<String>,
    /// The IP address of the receiver.
    pub destination_ip: Option<IpAddr>,
    /// The number of bytes sent.
    pub bytes_sent: u64,
}

impl ImageSend {
    /// Creates the payload for `bytes_sent` bytes of image `image_id`, with an unknown receiver.
    pub fn new(image_id: Uuid, bytes_sent: u64) -> Self {
        Self {
            image_id,
            owner_id: None,
            receiver_tenant_id: None,
            receiver_user_id: None,
            destination_ip: None,
            bytes_sent,
        }
    }

    /// Reads the payload; see [`Image::read`](super::image::Image::read) for the result.
    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        let image_id = fields.uuid("image_id");
        let owner_id = fields.optional_text("owner_id");
        let receiver_tenant_id = fields.optional_text("receiver_tenant_id");
        let receiver_user_id = fields.optional_text("receiver_user_id");
        let destination_ip = fields.optional_ip("destination_ip");
        let bytes_sent = fields.number("bytes_sent");
        fields.mark_foreign_if_keys_remain();
        Some(Self {
            image_id: image_id?,
            owner_id,
            receiver_tenant_id,
            receiver_user_id,
            destination_ip,
            bytes_sent: bytes_sent?,
        })
    }
}

wire! {
    /// The sending of an image on the wire. Glance omits `destination_ip` if it does not know it;
    /// null means the same to every consumer.
    struct ImageSendWire<'a> as "ImageSend" {
        bytes_sent: u64,
        destination_ip: Option<IpAddr>,
        image_id: Uuid,
        owner_id: Option<&'a str>,
        receiver_tenant_id: Option<&'a str>,
        receiver_user_id: Option<&'a str>,
    }
}

impl WriteJson for ImageSend {
    fn write(&self, w: &mut JsonWriter) {
        ImageSendWire {
            bytes_sent: self.bytes_sent,
            destination_ip: self.destination_ip,
            image_id: self.image_id,
            owner_id: self.owner_id.as_deref(),
            receiver_tenant_id: self.receiver_tenant_id.as_deref(),
            receiver_user_id: self.receiver_user_id.as_deref(),
        }
        .write(w);
    }
}

debug_as_redacted_json!(ImageSend);
