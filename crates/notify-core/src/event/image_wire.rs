//! Images on the wire: [`ImageWire`], the keys of Glance's `format_image_notification` in their order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::image::{DeletedImage, Image, ImageStatus, Visibility};
use super::payload_problem::read_payload;
use crate::codec::payload_time::PayloadTime;
use crate::codec::problem::{Problem, kind_of};
use crate::codec::wire_text::serialize_id;

/// The known keys of an image.
#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Image"))]
pub(super) struct ImageWire<'a> {
    #[serde(serialize_with = "serialize_id")]
    id: Uuid,
    name: Option<Cow<'a, str>>,
    status: ImageStatus,
    created_at: PayloadTime,
    updated_at: PayloadTime,
    min_disk: u64,
    min_ram: u64,
    protected: bool,
    checksum: Option<Cow<'a, str>>,
    owner: Option<Cow<'a, str>>,
    disk_format: Option<Cow<'a, str>>,
    container_format: Option<Cow<'a, str>>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    #[cfg_attr(feature = "schema", schemars(with = "bool"))]
    is_public: Option<bool>,
    /// Senders older than 2016 know no visibility.
    #[cfg_attr(feature = "schema", schemars(with = "Visibility"))]
    visibility: Option<Visibility>,
    properties: Cow<'a, BTreeMap<String, String>>,
    tags: Cow<'a, [String]>,
    #[cfg_attr(feature = "schema", schemars(with = "bool"))]
    deleted: Option<bool>,
    deleted_at: Option<PayloadTime>,
}

/// All keys of an image that has unknown ones.
#[derive(Serialize)]
struct ExtendedImage<'a> {
    #[serde(flatten)]
    image: ImageWire<'a>,
    #[serde(flatten)]
    other: BTreeMap<&'a str, &'a Value>,
}

impl Image {
    /// Reads the payload of an image event.
    pub(super) fn of_payload(payload: &Value) -> Result<Self, Problem> {
        let wire: ImageWire<'_> = read_payload(payload)?;
        let mut image = Self::new(wire.id, wire.status, wire.created_at.0);
        image.name = wire.name.map(Cow::into_owned);
        image.updated_at = wire.updated_at.0;
        image.min_disk = wire.min_disk;
        image.min_ram = wire.min_ram;
        image.protected = wire.protected;
        image.checksum = wire.checksum.map(Cow::into_owned);
        image.owner = wire.owner.map(Cow::into_owned);
        image.disk_format = wire.disk_format.map(Cow::into_owned);
        image.container_format = wire.container_format.map(Cow::into_owned);
        image.size = wire.size;
        image.virtual_size = wire.virtual_size;
        image.visibility = wire.visibility.unwrap_or(match wire.is_public {
            Some(true) => Visibility::Public,
            _ => Visibility::Private,
        });
        image.properties = wire.properties.into_owned();
        image.tags = wire.tags.into_owned();
        image.deleted_at = wire.deleted_at.map(|time| time.0);
        let entries = payload.as_object().into_iter().flatten();
        let other = entries.filter(|(key, _)| !is_known(key));
        image.other = other.map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(image)
    }

    /// Borrows the known keys.
    fn wire(&self, is_deleted: bool) -> ImageWire<'_> {
        ImageWire {
            id: self.id,
            name: self.name.as_deref().map(Cow::Borrowed),
            status: self.status,
            created_at: PayloadTime(self.created_at),
            updated_at: PayloadTime(self.updated_at),
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            protected: self.protected,
            checksum: self.checksum.as_deref().map(Cow::Borrowed),
            owner: self.owner.as_deref().map(Cow::Borrowed),
            disk_format: self.disk_format.as_deref().map(Cow::Borrowed),
            container_format: self.container_format.as_deref().map(Cow::Borrowed),
            size: self.size,
            virtual_size: self.virtual_size,
            is_public: Some(self.visibility == Visibility::Public),
            visibility: Some(self.visibility),
            properties: Cow::Borrowed(&self.properties),
            tags: Cow::Borrowed(&self.tags),
            deleted: Some(is_deleted || self.deleted_at.is_some()),
            deleted_at: self.deleted_at.map(PayloadTime),
        }
    }

    /// Writes the known keys, and behind them the others.
    fn write<S: Serializer>(&self, is_deleted: bool, serializer: S) -> Result<S::Ok, S::Error> {
        let image = self.wire(is_deleted);
        if self.other.is_empty() {
            return image.serialize(serializer);
        }
        let other = self.other.iter().filter(|(key, _)| !is_known(key));
        let other = other.map(|(key, value)| (key.as_str(), value)).collect();
        ExtendedImage { image, other }.serialize(serializer)
    }
}

/// Returns `true` if [`ImageWire`] has the key.
fn is_known(key: &str) -> bool {
    static KNOWN: LazyLock<Value> = LazyLock::new(|| {
        let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::UNIX_EPOCH);
        serde_json::to_value(image.wire(false)).unwrap_or_default()
    });
    KNOWN.get(key).is_some()
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(false, serializer)
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let payload = Map::deserialize(deserializer)?.into();
        Self::of_payload(&payload).map_err(D::Error::custom)
    }
}

impl DeletedImage {
    /// Reads the payload of `image.delete`.
    pub(super) fn of_payload(payload: &Value) -> Result<Self, Problem> {
        if payload.is_object() {
            return Image::of_payload(payload).map(Self::from);
        }
        let id = payload.as_str().and_then(|text| Uuid::try_parse(text).ok());
        id.map(Self::Id).ok_or_else(|| {
            let found = kind_of(&payload.to_string());
            Problem::new("/payload", "the image's id or an object", found)
        })
    }
}

/// Writes all facts, as Glance's code does.
impl Serialize for DeletedImage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Full(image) => image.write(true, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DeletedImage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let payload = Value::deserialize(deserializer)?;
        Self::of_payload(&payload).map_err(D::Error::custom)
    }
}
