//! Images: [`Image`], its status and visibility, and [`DeletedImage`].
//!
//! The form on the wire is in [`image_wire`](super::image_wire).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::words::words;
use crate::codec::json_writer::debug_as_redacted_json;

/// The metadata of an image, as most image events carry it.
///
/// The keys are those of Glance's `format_image_notification`. [`Image::new`] sets the required ones;
/// assign the others afterwards.
///
/// `Debug` shows the image as it leaves the process: without secrets. `Serialize` writes everything.
///
/// # Examples
///
/// ```
/// use notify_core::event::{Image, ImageStatus, Visibility};
/// # use time::OffsetDateTime;
/// # use uuid::Uuid;
/// let mut image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
/// image.name = Some("debian-12".into());
/// image.visibility = Visibility::Public;
/// image.size = Some(3_221_225_472);
/// image.properties.insert("os_distro".into(), "debian".into());
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// The image id.
    pub id: Uuid,
    /// The name that the owner gave the image.
    pub name: Option<String>,
    /// The status of the image in its life cycle.
    pub status: ImageStatus,
    /// The creation time of the record. On the wire: UTC, whole seconds.
    pub created_at: OffsetDateTime,
    /// The time of the last change of the record. On the wire: UTC, whole seconds.
    pub updated_at: OffsetDateTime,
    /// The disk space that a server needs to boot the image, in GiB.
    pub min_disk: u64,
    /// The memory that a server needs to boot the image, in MiB.
    pub min_ram: u64,
    /// Whether Glance forbids deleting the image.
    pub protected: bool,
    /// The MD5 digest of the data in hexadecimal; `None` until the upload.
    pub checksum: Option<String>,
    /// The id of the project that owns the image, from Keystone.
    pub owner: Option<String>,
    /// The format of the disk: `qcow2`, `raw`.
    pub disk_format: Option<String>,
    /// The format of the container around the disk: `bare`, `ovf`.
    pub container_format: Option<String>,
    /// The size of the data in bytes; `None` until the upload.
    pub size: Option<u64>,
    /// The size of the disk as a server sees it, in bytes; `None` until the upload.
    pub virtual_size: Option<u64>,
    /// The projects that can see the image. The key `is_public` on the wire follows from it.
    pub visibility: Visibility,
    /// Free properties that the owner set, by name.
    pub properties: BTreeMap<String, String>,
    /// The tags, in no defined order.
    pub tags: Vec<String>,
    /// The deletion time of the record, if it is deleted. On the wire: UTC, whole seconds.
    ///
    /// The key `deleted` on the wire follows from it.
    pub deleted_at: Option<OffsetDateTime>,
    /// Keys of the payload that this version does not know.
    ///
    /// Encoding writes them after the known keys. It ignores a known key in here.
    pub other: Map<String, Value>,
}

impl Image {
    /// Creates a private image without optional facts, last changed when it was created.
    pub fn new(id: Uuid, status: ImageStatus, created_at: OffsetDateTime) -> Self {
        Self {
            id,
            name: None,
            status,
            created_at,
            updated_at: created_at,
            min_disk: 0,
            min_ram: 0,
            protected: false,
            checksum: None,
            owner: None,
            disk_format: None,
            container_format: None,
            size: None,
            virtual_size: None,
            visibility: Visibility::Private,
            properties: BTreeMap::new(),
            tags: Vec::new(),
            deleted_at: None,
            other: Map::new(),
        }
    }
}

words! {
    /// The status of an image, from Glance's state machine.
    pub enum ImageStatus as "image status" {
        /// The record exists, without data.
        Queued = "queued",
        /// A user uploads the data.
        Saving = "saving",
        /// A user stages data for an import.
        Uploading = "uploading",
        /// Glance imports the staged data.
        Importing = "importing",
        /// The data is available.
        Active = "active",
        /// The data is available to administrators only.
        Deactivated = "deactivated",
        /// The upload failed.
        Killed = "killed",
        /// The image is deleted.
        Deleted = "deleted",
        /// The image is deleted, and the store still holds its data.
        PendingDelete = "pending_delete",
    }
}

words! {
    /// The visibility of an image to projects other than its owner.
    pub enum Visibility as "visibility" {
        /// Every project sees the image.
        Public = "public",
        /// Only the owner sees the image.
        Private = "private",
        /// The owner and the members of the image see it.
        Shared = "shared",
        /// Every project can use the image, but lists show it only on request.
        Community = "community",
    }
}

/// The payload of `image.delete`.
///
/// The specification sends the id of the image. Glance's code has sent the whole image since 2012.
/// [`PayloadStyle`](crate::codec::PayloadStyle) selects one of them for writing; reading accepts both.
///
/// # Examples
///
/// ```
/// use notify_core::Event;
/// use notify_core::event::DeletedImage;
/// use uuid::Uuid;
///
/// let id = Uuid::from_u128(1);
/// let event = Event::ImageDelete(DeletedImage::from(id).into());
/// # drop(event);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum DeletedImage {
    /// Only the id. A string on the wire, in either payload style.
    Id(Uuid),
    /// The whole image. On the wire its id in the documented style, or the whole image with
    /// `deleted: true` in Glance's style.
    Full(Box<Image>),
}

impl From<Uuid> for DeletedImage {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<Image> for DeletedImage {
    fn from(image: Image) -> Self {
        Self::Full(Box::new(image))
    }
}

debug_as_redacted_json!(Image);
