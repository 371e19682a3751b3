//! The styles of typed payloads: as the specification documents them, or as Glance's code sends them.

use serde::{Deserialize, Serialize};

/// The style in which typed payloads are written.
///
/// The two styles differ for deleted images and for tasks only. Payloads that were read in another
/// shape keep that shape in either style.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{Encoding, PayloadStyle};
/// use notify_core::event::{DeletedImage, Image, ImageStatus};
/// use notify_core::{Event, Notification};
/// # use time::OffsetDateTime;
/// # use uuid::Uuid;
///
/// # fn main() -> notify_core::Result<()> {
/// # let now = OffsetDateTime::UNIX_EPOCH;
/// let image = Image::new(Uuid::from_u128(1), ImageStatus::Deleted, now);
/// let notification = Notification {
///     message_id: Uuid::from_u128(2),
///     publisher_id: "image.host1".into(),
///     timestamp: now,
///     payload: Event::ImageDelete(DeletedImage::from(image).into()).into(),
/// };
///
/// let documented = notification.encode(&Encoding::default())?;
/// assert!(documented.body().ends_with(br#""payload":"00000000-0000-0000-0000-000000000001"}"#));
///
/// let style = Encoding { payloads: PayloadStyle::Glance, ..Encoding::default() };
/// let glance = notification.encode(&style)?;
/// assert!(glance.body().ends_with(br#""deleted":true,"deleted_at":null}}"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadStyle {
    /// The style of Glance's notification specification: a deleted image is its id, a task has
    /// `task_id`, input, result and message.
    #[default]
    Documented,
    /// The style of Glance's code: a deleted image is the whole image, a task has `id` and `type`, and
    /// neither input, result nor message. Ceilometer expects this style.
    Glance,
}
