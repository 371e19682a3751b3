//! Images: their metadata, what a deleted one leaves behind, and who was sent one.

use std::collections::BTreeMap;
use std::net::IpAddr;

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
/// ```
/// use notify_core::event::{Image, ImageStatus, Visibility};
/// # use time::OffsetDateTime;
/// # use uuid::Uuid;
/// let mut image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
/// image.name = Some("debian-12".into());
/// image.visibility = Visibility::Public;
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Image {
    /// The image's id.
    pub id: Uuid,
    /// The name its owner gave it.
    pub name: Option<String>,
    /// Where it is in its life.
    pub status: ImageStatus,
    /// When the record was created; written in UTC and whole seconds.
    pub created_at: OffsetDateTime,
    /// When the record was last changed; written in UTC and whole seconds.
    pub updated_at: OffsetDateTime,
    /// When the record was deleted, if it was; written in UTC and whole seconds. `deleted` on the
    /// wire follows from it.
    pub deleted_at: Option<OffsetDateTime>,
    /// The disk that a machine needs to boot the image, in GiB.
    pub min_disk: u64,
    /// The memory that a machine needs to boot the image, in MiB.
    pub min_ram: u64,
    /// Whether deleting it is forbidden.
    pub protected: bool,
    /// The MD5 of its data in hexadecimal, once that is known.
    pub checksum: Option<String>,
    /// The project that owns it, by Keystone's id.
    pub owner: Option<String>,
    /// The format of the disk in it: `qcow2`, `raw`.
    pub disk_format: Option<String>,
    /// The format of the container around it: `bare`, `ovf`.
    pub container_format: Option<String>,
    /// The size of its data in bytes, once that is known.
    pub size: Option<u64>,
    /// The size of the disk as a machine sees it, in bytes, once that is known.
    pub virtual_size: Option<u64>,
    /// Who may see it. `is_public` on the wire follows from it.
    pub visibility: Visibility,
    /// What its owner wrote on it.
    pub properties: BTreeMap<String, String>,
    /// Its tags, in no defined order.
    pub tags: Vec<String>,
    /// Further keys of the payload that this version does not know by name. A key that it does know
    /// is not written from here.
    pub other: Map<String, Value>,
}

impl Image {
    /// An image that was created at `created_at`, not changed since, private, and otherwise empty.
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

    /// Reads an image that says `deleted: DELETED`.
    pub(crate) fn read(mut fields: Fields<'_, '_>, deleted: bool) -> Option<Self> {
        let id = fields.uuid("id");
        let name = fields.optional_text("name");
        let status = fields.word("status", ImageStatus::ALL);
        let created_at = fields.time("created_at", Absence::Foreign);
        let updated_at = fields.time("updated_at", Absence::Foreign);
        let deleted_at = fields.optional_time("deleted_at", Absence::Null);
        let said_deleted = fields.optional_bool("deleted").unwrap_or(deleted);
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
        let other = fields.rest();
        if said_deleted != (deleted || deleted_at.is_some()) {
            fields.foreign();
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
    /// Where an image is in its life.
    pub enum ImageStatus as "image status" {
        /// The record exists, no data has been uploaded.
        Queued = "queued",
        /// Data is being uploaded.
        Saving = "saving",
        /// Data is being staged for an import.
        Uploading = "uploading",
        /// Staged data is being imported.
        Importing = "importing",
        /// Its data can be used.
        Active = "active",
        /// Its data may be used by administrators only.
        Deactivated = "deactivated",
        /// The upload failed.
        Killed = "killed",
        /// It is gone.
        Deleted = "deleted",
        /// It is gone, its data not yet.
        PendingDelete = "pending_delete",
    }
}

words! {
    /// Who may see an image.
    pub enum Visibility as "visibility" {
        /// Everybody.
        Public = "public",
        /// Its owner.
        Private = "private",
        /// Its owner and the members it is shared with.
        Shared = "shared",
        /// Everybody, but only those who ask for it list it.
        Community = "community",
    }
}

impl Visibility {
    /// Before 2016 there was only `is_public`.
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let visibility = fields.optional_word("visibility", Self::ALL);
        let is_public = fields.optional_bool("is_public");
        match (visibility, is_public) {
            (Some(visibility), Some(is_public)) if is_public != (visibility == Self::Public) => {
                fields.foreign();
                None
            }
            (Some(visibility), _) => Some(visibility),
            (None, Some(true)) => Some(Self::Public),
            (None, Some(false)) => Some(Self::Private),
            (None, None) => {
                fields.foreign();
                None
            }
        }
    }
}

/// A deleted image: the specification sends its id, Glance's code everything it knew.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletedImage {
    /// Only the id is known. Written as a string in either payload style.
    Id(Uuid),
    /// Everything is known. Written as its id in the documented style, whole in Glance's.
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

/// An image's data was sent to a consumer, or part of it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageSend {
    /// The image's id.
    pub image_id: Uuid,
    /// The project that owns the image, by Keystone's id.
    pub owner_id: Option<String>,
    /// The project it was sent to, by Keystone's id.
    pub receiver_tenant_id: Option<String>,
    /// The user it was sent to, by Keystone's id.
    pub receiver_user_id: Option<String>,
    /// The address it was sent to.
    pub destination_ip: Option<IpAddr>,
    /// How much was sent, in bytes.
    pub bytes_sent: u64,
}

impl ImageSend {
    /// `bytes_sent` bytes of image `image_id` were sent to somebody unknown.
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

    pub(crate) fn read(mut fields: Fields<'_, '_>) -> Option<Self> {
        let image_id = fields.uuid("image_id");
        let owner_id = fields.optional_text("owner_id");
        let receiver_tenant_id = fields.optional_text("receiver_tenant_id");
        let receiver_user_id = fields.optional_text("receiver_user_id");
        let destination_ip = fields.optional_ip("destination_ip");
        let bytes_sent = fields.number("bytes_sent");
        fields.no_rest();
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
    /// Image metadata on the wire: the fields of Glance's `format_image_notification`.
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

wire! {
    /// An image's sending on the wire. Glance leaves `destination_ip` out where it does not know it;
    /// null says the same to every consumer.
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

debug_as_redacted_json!(Image, ImageSend);
