//! The facts of an event, whatever shape its payload has: [`EventFacts`].

use std::borrow::Cow;

use time::OffsetDateTime;

use super::event_type::EventType;
use super::payload::{NotificationPayload, PayloadView};
use super::read_event::ReadEvent;
use crate::codec::json_tokens::{JsonToken, JsonTokens};
use crate::codec::notification::Notification;
use crate::codec::timestamp::parse_time;

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
            Self::Constructed(event) => {
                serde_json::to_string(&PayloadView::Constructed(event, None))
                    .map(|json| of_json(event.event_type(), &json))
                    .unwrap_or_default()
            }
            Self::Read(event) => event.facts(),
        }
    }
}

/// Returns the facts of a payload.
fn of_json(event_type: &EventType, json: &str) -> EventFacts {
    let mut tokens = JsonTokens::new(json);
    match tokens.next() {
        Some(JsonToken::Open(true)) => of_object(event_type, tokens),
        Some(JsonToken::Text(text)) => of_text(event_type, text.unescape().lossy().into_owned()),
        _ => EventFacts::default(),
    }
}

/// Returns the facts of an object, from the tokens behind its brace.
fn of_object(event_type: &EventType, tokens: JsonTokens<'_>) -> EventFacts {
    let is_task = event_type.group() == "task";
    let is_send = *event_type == EventType::ImageSend;
    // A member has an id of its own.
    let has_own_id = is_send || event_type.as_str().starts_with("image.member.");
    let mut facts = EventFacts::default();
    let (mut record_id, mut image_id, mut task_type, mut is_public) = (None, None, None, None);
    let (mut depth, mut key) = (1_usize, Cow::Borrowed(""));
    for token in tokens {
        match token {
            JsonToken::Open(_) => depth += 1,
            JsonToken::Close(_) => depth -= 1,
            _ if depth > 1 => {}
            JsonToken::Key(text) => key = text.unescape().text,
            value => match &*key {
                "id" => record_id = text(value),
                "image_id" => image_id = text(value),
                "task_id" if is_task => facts.id = text(value),
                "name" => facts.name = text(value),
                "status" => facts.status = text(value),
                "owner" if !is_send => facts.owner = text(value),
                "owner_id" if is_send => facts.owner = text(value),
                "size" => facts.size = size(value),
                "checksum" => facts.checksum = text(value),
                "disk_format" => facts.disk_format = text(value),
                "container_format" => facts.container_format = text(value),
                "is_public" => is_public = flag(value),
                "visibility" => facts.visibility = text(value),
                "created_at" => facts.created_at = time(value),
                "updated_at" => facts.updated_at = time(value),
                "deleted_at" => facts.deleted_at = time(value),
                "expires_at" => facts.expires_at = time(value),
                "type" if is_task => task_type = text(value),
                "task_type" if is_task => facts.task_type = text(value),
                "bytes_sent" => facts.bytes_sent = size(value),
                "destination_ip" => facts.destination_ip = text(value),
                "receiver_tenant_id" => facts.receiver_tenant_id = text(value),
                "receiver_user_id" => facts.receiver_user_id = text(value),
                "member_id" => facts.member_id = text(value),
                "message" => facts.message = text(value),
                _ => {}
            },
        }
    }
    if !has_own_id {
        facts.id = facts.id.or(record_id);
    }
    facts.id = facts.id.or(image_id.filter(|_| !is_task));
    facts.task_type = facts.task_type.or(task_type);
    facts.visibility =
        facts.visibility.or_else(|| Some(if is_public? { "public" } else { "private" }.to_owned()));
    facts
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
fn text(value: JsonToken<'_>) -> Option<String> {
    match value {
        JsonToken::Text(text) => Some(text.unescape().lossy().into_owned()),
        JsonToken::Scalar(number) => number.parse::<u64>().ok().map(|_| number.to_owned()),
        _ => None,
    }
}

/// Returns a whole number. Some senders write it with a fraction of zero.
fn size(value: JsonToken<'_>) -> Option<u64> {
    let JsonToken::Scalar(number) = value else { return None };
    number.parse().ok().or_else(|| {
        let number: f64 = number.parse().ok()?;
        // Above 2^53, a floating-point number is no exact count.
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    })
}

/// Returns a boolean.
fn flag(value: JsonToken<'_>) -> Option<bool> {
    let JsonToken::Scalar(word) = value else { return None };
    word.parse().ok()
}

/// Returns a time.
fn time(value: JsonToken<'_>) -> Option<OffsetDateTime> {
    let JsonToken::Text(text) = value else { return None };
    parse_time(&text.unescape().text)
}
