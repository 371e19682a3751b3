//! Images: [`Image`], its status and visibility, and [`DeletedImage`].
//!
//! [`Image`] is the struct for programs, and a `wire!` declaration describes its form on the wire.
//! Reading and writing go through [`codec`](crate::codec).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::words::words;
use crate::codec::fields::{Absence, Fields};
use crate::codec::json_tree::JsonTree;
use crate::codec::json_writer::{JsonWriter, WriteJson};
use crate::codec::payload_style::PayloadStyle;
use crate::codec::payload_time::PayloadTime;
use crate::codec::wire_object::{debug_as_redacted_json, wire};

/// The metadata of an image, as most image events carry it.
///
/// The keys are those of Glance's `format_image_notification`. [`Image::new`] sets the required ones;
/// assign the others afterwards.
///
/// `Debug` shows the image as it leaves the process: without secrets.
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
    /// The deletion time of the record, if it is deleted. On the wire: UTC, whole seconds.
    ///
    /// The key `deleted` on the wire follows from it.
    pub deleted_at: Option<OffsetDateTime>,
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
            deleted_at: None,
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
            other: Map::new(),
        }
    }

    /// Reads an image whose event implies `deleted`.
    ///
    /// Returns `None` if the payload has a problem or another shape; `fields` reports which. Keys may
    /// be absent in older senders, which makes the shape foreign.
    pub(crate) fn read(mut fields: Fields<'_, '_>, deleted: bool) -> Option<Self> {
        let id = fields.uuid("id");
        let name = fields.optional_text("name");
        let status = fields.word("status", ImageStatus::ALL);
        let created_at = fields.time("created_at", Absence::Foreign);
        let updated_at = fields.time("updated_at", Absence::Foreign);
        let deleted_at = fields.optional_time("deleted_at", Absence::Null);
        let deleted_on_wire = fields.optional_bool("deleted").unwrap_or(deleted);
        let min_disk = fields.number("min_disk");
        let min_ram = fields.number("min_ram");
        let protected = fields.bool("protected");
        let checksum = fields.optional_text("checksum");
        let owner = fields.optional_text("owner");
        let disk_format = fields.optional_text("disk_format");
        let container_format = fields.optional_text("container_format");
        let size = fields.optional_number("size");
        let virtual_size = fields.optional_number("virtual_size");
        let visibility = Visibility::read(&mut fields);
        let properties = fields.text_map("properties");
        let tags = fields.texts("tags");
        let other = fields.remaining_entries();
        if deleted_on_wire != (deleted || deleted_at.is_some()) {
            fields.mark_foreign();
        }
        Some(Self {
            id: id?,
            name,
            status: status?,
            created_at: created_at?,
            updated_at: updated_at?,
            deleted_at,
            min_disk: min_disk?,
            min_ram: min_ram?,
            protected: protected?,
            checksum,
            owner,
            disk_format,
            container_format,
            size,
            virtual_size,
            visibility: visibility?,
            properties: properties?,
            tags: tags?,
            other,
        })
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

impl Visibility {
    /// Reads `visibility`, or `is_public` if the sender is older than 2016 and knows no visibility.
    ///
    /// A payload whose two keys contradict each other has a foreign shape.
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let visibility = fields.optional_word("visibility", Self::ALL);
        let is_public = fields.optional_bool("is_public");
        match (visibility, is_public) {
            (Some(visibility), Some(is_public)) if is_public != (visibility == Self::Public) => {
                fields.mark_foreign();
                None
            }
            (Some(visibility), _) => Some(visibility),
            (None, Some(true)) => Some(Self::Public),
            (None, Some(false)) => Some(Self::Private),
            (None, None) => {
                fields.mark_foreign();
                None
            }
        }
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

wire! {
    /// Image metadata on the wire: the keys of Glance's `format_image_notification`.
    struct ImageWire<'a> as "Image" {
        id: Uuid,
        name: Option<&'a str>,
        status: ImageStatus,
        created_at: PayloadTime,
        updated_at: PayloadTime,
        min_disk: u64,
        min_ram: u64,
        protected: bool,
        checksum: Option<&'a str>,
        owner: Option<&'a str>,
        disk_format: Option<&'a str>,
        container_format: Option<&'a str>,
        size: Option<u64>,
        virtual_size: Option<u64>,
        is_public: bool,
        visibility: Visibility,
        properties: &'a BTreeMap<String, String>,
        tags: &'a [String],
        deleted: bool,
        deleted_at: Option<PayloadTime>,
        ..other: JsonTree<'a>,
    }
}

impl Image {
    /// Borrows the image in its form on the wire.
    fn wire(&self, deleted: bool) -> ImageWire<'_> {
        ImageWire {
            id: self.id,
            name: self.name.as_deref(),
            status: self.status,
            created_at: PayloadTime(self.created_at),
            updated_at: PayloadTime(self.updated_at),
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            protected: self.protected,
            checksum: self.checksum.as_deref(),
            owner: self.owner.as_deref(),
            disk_format: self.disk_format.as_deref(),
            container_format: self.container_format.as_deref(),
            size: self.size,
            virtual_size: self.virtual_size,
            is_public: self.visibility == Visibility::Public,
            visibility: self.visibility,
            properties: &self.properties,
            tags: &self.tags,
            deleted: deleted || self.deleted_at.is_some(),
            deleted_at: self.deleted_at.map(PayloadTime),
            other: JsonTree::map(&self.other),
        }
    }
}

impl WriteJson for Image {
    fn write(&self, w: &mut JsonWriter) {
        self.wire(false).write(w);
    }
}

impl WriteJson for DeletedImage {
    fn write(&self, w: &mut JsonWriter) {
        match self {
            Self::Id(id) => id.write(w),
            Self::Full(image) if w.payloads == PayloadStyle::Glance => image.wire(true).write(w),
            Self::Full(image) => image.id.write(w),
        }
    }
}

debug_as_redacted_json!(Image);
