//! The facts of an event, whatever shape its payload has: [`EventFacts`].

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::event_type::EventType;
use super::payload::{NotificationPayload, PayloadView};
use super::read_event::ReadEvent;
use crate::codec::encode::Encoding;
use crate::codec::json_writer::{JsonWriter, WriteJson};
use crate::codec::notification::Notification;
use crate::codec::payload_style::PayloadStyle;
use crate::codec::timestamp::parse_time;
use crate::redact::policy::Redact;

/// The facts that the payload of an image or task event holds, in every shape that Glance has sent.
///
/// A fact that the payload lacks, or holds in a form that Glance never sent, is `None`. The facts are
/// not redacted.
///
/// | sender | shape |
/// |---|---|
/// | 2011 | ids of images are whole numbers; times have no zone; a deleted image is its id |
/// | API v1 | no tags, no visibility |
/// | the specification | tasks have `task_id` and `task_type` |
/// | Glance's code | tasks have `id` and `type`; a deleted image is the whole image |
/// | errors | a text, which names an image's id or none |
///
/// # Examples
///
/// ```
/// use notify_core::Notification;
///
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"message_id":"7f28f81b-29a2-43f2-9ba1-ccb3e53ab6c8","publisher_id":"glance1",
///     "event_type":"image.upload","priority":"INFO","timestamp":"2011-09-22 18:20:31",
///     "payload":{"id":1,"name":"precise","status":"active","size":252182528,"owner":null}}"#;
/// let facts = Notification::decode(line)?.event();
/// assert_eq!(facts.id.as_deref(), Some("1"));
/// assert_eq!(facts.size, Some(252_182_528));
/// assert_eq!(facts.owner, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFacts {
    /// The id of the image or of the task.
    pub id: Option<String>,
    /// The name of the image.
    pub name: Option<String>,
    /// The status of the image, of the task, or of the member.
    pub status: Option<String>,
    /// The id of the project that owns the image or the task.
    pub owner: Option<String>,
    /// The size of the image in bytes.
    pub size: Option<u64>,
    /// The MD5 digest of the image's data in hexadecimal.
    pub checksum: Option<String>,
    /// The format of the disk.
    pub disk_format: Option<String>,
    /// The format of the container around the disk.
    pub container_format: Option<String>,
    /// The visibility of the image. Senders older than 2016 tell only `public` and `private`.
    pub visibility: Option<String>,
    /// The creation time of the record.
    pub created_at: Option<OffsetDateTime>,
    /// The time of the last change of the record.
    pub updated_at: Option<OffsetDateTime>,
    /// The deletion time of the record.
    pub deleted_at: Option<OffsetDateTime>,
    /// The time from which Glance may delete the task.
    pub expires_at: Option<OffsetDateTime>,
    /// The kind of work of a task.
    pub task_type: Option<String>,
    /// The number of bytes sent, of `image.send`.
    pub bytes_sent: Option<u64>,
    /// The IP address of the receiver, of `image.send`.
    pub destination_ip: Option<String>,
    /// The id of the receiving project, of `image.send`.
    pub receiver_tenant_id: Option<String>,
    /// The id of the receiving user, of `image.send`.
    pub receiver_user_id: Option<String>,
    /// The id of the project that became a member of the image.
    pub member_id: Option<String>,
    /// The text of a warning or an error, or the message of a failed task.
    pub message: Option<String>,
}

impl Notification {
    /// Returns the facts that the payload holds, in whatever shape it has. A missing fact is `None`.
    pub fn event(&self) -> EventFacts {
        self.payload.facts()
    }
}

impl ReadEvent {
    /// Returns the facts that the payload holds; see [`Notification::event`].
    pub fn facts(&self) -> EventFacts {
        of_json(self.event_type(), self.payload().get())
    }
}

impl NotificationPayload {
    /// Returns the facts that the payload holds; see [`Notification::event`].
    pub fn facts(&self) -> EventFacts {
        match self {
            Self::Read(event) => event.facts(),
            Self::Constructed(event) => {
                // The style of Glance's code holds more of a deleted image, and less of a task.
                let payloads = match event.event_type() {
                    EventType::ImageDelete => PayloadStyle::Glance,
                    _ => PayloadStyle::Documented,
                };
                let encoding = Encoding { payloads, redact: Redact::Off, ..Encoding::default() };
                let mut w = JsonWriter {
                    payloads: encoding.payloads,
                    redact: encoding.redact,
                    ..JsonWriter::default()
                };
                PayloadView::Event(event).write(&mut w);
                of_json(event.event_type(), &String::from_utf8_lossy(&w.bytes))
            }
        }
    }
}

/// Returns the facts of a payload.
fn of_json(event_type: &EventType, json: &str) -> EventFacts {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => of_object(event_type, &map),
        Ok(Value::String(text)) => of_text(event_type, text),
        _ => EventFacts::default(),
    }
}

/// Returns the facts of an object.
fn of_object(event_type: &EventType, map: &Map<String, Value>) -> EventFacts {
    let is_send = *event_type == EventType::ImageSend;
    let is_member = event_type.as_str().starts_with("image.member.");
    let keys: &[&str] = match event_type.group() {
        "task" => &["task_id", "id"],
        // A member has an id of its own.
        _ if is_send || is_member => &["image_id"],
        _ => &["id", "image_id"],
    };
    let text = |key: &str| map.get(key).and_then(as_text);
    let number = |key: &str| map.get(key).and_then(as_size);
    let time = |key: &str| map.get(key).and_then(Value::as_str).and_then(parse_time);
    let is_public = map.get("is_public").and_then(Value::as_bool);
    let old_visibility = is_public.map(|public| if public { "public" } else { "private" });
    let is_task = event_type.group() == "task";
    EventFacts {
        id: keys.iter().find_map(|key| text(key)),
        name: text("name"),
        status: text("status"),
        owner: text(if is_send { "owner_id" } else { "owner" }),
        size: number("size"),
        checksum: text("checksum"),
        disk_format: text("disk_format"),
        container_format: text("container_format"),
        visibility: text("visibility").or_else(|| old_visibility.map(str::to_owned)),
        created_at: time("created_at"),
        updated_at: time("updated_at"),
        deleted_at: time("deleted_at"),
        expires_at: time("expires_at"),
        task_type: is_task.then(|| text("task_type").or_else(|| text("type"))).flatten(),
        bytes_sent: number("bytes_sent"),
        destination_ip: text("destination_ip"),
        receiver_tenant_id: text("receiver_tenant_id"),
        receiver_user_id: text("receiver_user_id"),
        member_id: text("member_id"),
        message: text("message"),
    }
}

/// Returns the facts of a text: the id of a deleted image, or a message that may name an id.
fn of_text(event_type: &EventType, text: String) -> EventFacts {
    let is_id = |word: &str| {
        word.len() == 36 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if *event_type == EventType::ImageDelete && (is_id(&text) || is_number) {
        return EventFacts { id: Some(text), ..EventFacts::default() };
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let id = words.find(|word| is_id(word)).map(str::to_owned);
    EventFacts { id, message: Some(text), ..EventFacts::default() }
}

/// Returns a text, or the digits of a whole number: the ids of 2011.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Returns a whole number. Some senders write it with a fraction of zero.
fn as_size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // Above 2^53, a floating-point number is no exact count.
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    })
}
