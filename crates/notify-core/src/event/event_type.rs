//! The event types: the eleven documented names as variants, and any other valid name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::codec::wire_text::from_text;
use crate::error::{Error, ErrorKind, Result};
use crate::redact::quote::quoted;

/// The name of an event.
///
/// Glance's notification specification documents eleven names, which are variants. Glance's code sends
/// more, such as `image.member.create`, and other services send hundreds: those are
/// [`Other`](Self::Other). Cloning is cheap.
///
/// # Examples
///
/// ```
/// use notify_core::EventType;
///
/// let event_type: EventType = "image.upload".parse()?;
/// assert_eq!(event_type, EventType::ImageUpload);
/// assert_eq!(event_type, "image.upload");
///
/// let event_type = EventType::new("image.member.create")?;
/// assert_eq!(event_type.as_str(), "image.member.create");
/// assert_eq!(event_type.group(), "image");
///
/// let error = EventType::new("image upload").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid event type \"image upload\", expected 1 to 255 printable ASCII characters without spaces",
/// );
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The image's record exists. Its data may follow later.
    ImageCreate,
    /// The upload of the image's data to the store begins.
    ImagePrepare,
    /// The upload of the image's data has completed. At `ERROR`, it has failed.
    ImageUpload,
    /// The image's status became `active`: the location of its data is known.
    ImageActivate,
    /// Glance has sent the image's data to a consumer. At `ERROR`, it has sent a part.
    ImageSend,
    /// The image's record has changed.
    ImageUpdate,
    /// The image's record is gone, or marked as deleted.
    ImageDelete,
    /// The executor has picked up the task.
    TaskRun,
    /// Glance has handed the task over to the executor.
    TaskProcessing,
    /// The task has succeeded.
    TaskSuccess,
    /// The task has failed.
    TaskFailure,
    /// Any other name. [`EventType::new`] creates it.
    Other(EventName),
}

/// A valid name that is not one of the documented ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName(Arc<str>);

impl EventName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl EventType {
    /// The eleven event types that the specification documents, in its order.
    pub const DOCUMENTED: &'static [Self] = &[
        Self::ImageCreate,
        Self::ImagePrepare,
        Self::ImageUpload,
        Self::ImageActivate,
        Self::ImageSend,
        Self::ImageUpdate,
        Self::ImageDelete,
        Self::TaskRun,
        Self::TaskProcessing,
        Self::TaskSuccess,
        Self::TaskFailure,
    ];

    /// Returns the event type of this name.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Invalid`] unless the name has 1 to 255 characters, each
    /// a printable character of ASCII other than a space. Brokers carry it as a short string. A name is no
    /// URL, which might hold a password: names are written without redaction.
    pub fn new(name: &str) -> Result<Self> {
        if let Some(documented) = Self::DOCUMENTED.iter().find(|known| known.as_str() == name) {
            return Ok(documented.clone());
        }
        let is_valid = (1..=MAX_CHARS).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic())
            && !name.contains("://");
        if !is_valid {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("invalid event type {}, expected {EXPECTED}", quoted(name)),
            ));
        }
        Ok(Self::Other(EventName(name.into())))
    }

    /// Returns the name on the wire.
    #[inline]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ImageCreate => "image.create",
            Self::ImagePrepare => "image.prepare",
            Self::ImageUpload => "image.upload",
            Self::ImageActivate => "image.activate",
            Self::ImageSend => "image.send",
            Self::ImageUpdate => "image.update",
            Self::ImageDelete => "image.delete",
            Self::TaskRun => "task.run",
            Self::TaskProcessing => "task.processing",
            Self::TaskSuccess => "task.success",
            Self::TaskFailure => "task.failure",
            Self::Other(name) => name.as_str(),
        }
    }

    /// Returns the part before the first dot, such as `image` or `task`; the whole name if it has none.
    ///
    /// Glance's option `disabled_notifications` disables a whole group by this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::EventType;
    ///
    /// assert_eq!(EventType::TaskFailure.group(), "task");
    /// ```
    pub fn group(&self) -> &str {
        let name = self.as_str();
        name.split_once('.').map_or(name, |(group, _)| group)
    }

    /// Returns a name outside of the documented ones, which stands for all of them.
    pub(crate) fn undocumented() -> Self {
        Self::Other(EventName("other".into()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<EventType> for &EventType {
    fn eq(&self, other: &EventType) -> bool {
        **self == *other
    }
}

impl PartialEq<&EventType> for EventType {
    fn eq(&self, other: &&EventType) -> bool {
        *self == **other
    }
}

/// Compares the name.
impl PartialEq<str> for EventType {
    fn eq(&self, name: &str) -> bool {
        self.as_str() == name
    }
}

/// Compares the name.
impl PartialEq<&str> for EventType {
    fn eq(&self, name: &&str) -> bool {
        self.as_str() == *name
    }
}

impl FromStr for EventType {
    type Err = Error;

    /// Does the same as [`EventType::new`].
    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl serde::Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, Self::new)
    }
}

/// The longest name in characters: that of a short string of AMQP 0-9-1.
const MAX_CHARS: usize = 255;

/// The rule of valid names.
pub(crate) const EXPECTED: &str = "1 to 255 printable ASCII characters without spaces";
