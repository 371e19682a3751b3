//! The limits of a notification: its size, its depth and its number of keys.
//!
//! Reading enforces them before it builds a value, and encoding before it walks a payload. So neither a
//! peer nor a caller can exhaust the memory or overflow the stack.

use serde_json::{Map, Value};

use super::json_tokens::{JsonToken, JsonTokens};
use crate::error::{Error, ErrorKind, Result};
use crate::event::image::DeletedImage;
use crate::event::payload::{Event, Payload, PayloadView};

/// The largest notification that reading accepts and that encoding writes.
///
/// The defaults are far above the needs of an image's notification, and far below anything that harms a
/// broker or a stack.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
/// use notify_core::{Error, ErrorKind};
///
/// let limits = SizeLimits { bytes: 10, ..SizeLimits::default() };
/// let problems = NotificationInput::decode(br#"{"event_type": 1}"#, &limits).unwrap_err();
/// let error = Error::from(problems);
/// assert_eq!(error.kind(), ErrorKind::TooLarge);
/// assert_eq!(
///     error.to_string(),
///     "the notification is too large: 17 bytes, the limit is 10 bytes",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// The number of nested objects and lists, including the notification itself. Default 64.
    pub depth: usize,
    /// The number of keys in all objects together. Default 4 096.
    pub keys: usize,
    /// The size of the notification in bytes of JSON. Default 1 MiB.
    pub bytes: usize,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self { depth: 64, keys: 4096, bytes: 1024 * 1024 }
    }
}

impl SizeLimits {
    /// Returns an error if `bytes` of JSON are too many.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(self.size_error(&format!("{bytes} bytes")))
    }

    /// Creates the error of a notification of `size`, which is a number with its unit.
    pub(crate) fn size_error(&self, size: &str) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the notification is too large: {size}, the limit is {} bytes", self.bytes),
        )
    }

    /// Creates the error of a value that is nested too deeply.
    pub(crate) fn depth_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload is nested too deeply: the limit is {} levels", self.depth),
        )
    }

    /// Creates the error of a notification with too many keys.
    pub(crate) fn keys_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload has too many keys: the limit is {}", self.keys),
        )
    }

    /// Checks the parts of a payload that a caller can nest and multiply at will.
    ///
    /// Encoding recurses over those parts, so it calls this first.
    pub(crate) fn check_payload(&self, payload: &PayloadView<'_>) -> Result<()> {
        let event = match payload {
            PayloadView::Read(event) => return self.check_text(event.payload().get()),
            PayloadView::Event(event) => event,
        };
        let image = match event {
            Event::ImageCreate(payload)
            | Event::ImagePrepare(payload)
            | Event::ImageUpload(payload)
            | Event::ImageActivate(payload)
            | Event::ImageUpdate(payload) => match payload {
                Payload::Info(image) => image,
                _ => return Ok(()),
            },
            Event::ImageDelete(Payload::Info(DeletedImage::Full(image))) => image,
            Event::TaskRun(payload) | Event::TaskProcessing(payload) => {
                return match payload {
                    Payload::Info(task) => self.check_maps([task.task_input.as_ref()], 0),
                    _ => Ok(()),
                };
            }
            Event::TaskSuccess(Payload::Info(done)) => {
                return self.check_maps([done.task.task_input.as_ref(), Some(&done.result)], 0);
            }
            Event::TaskFailure(Payload::Info(failed)) => {
                return self.check_maps([failed.task.task_input.as_ref()], 0);
            }
            Event::ImageDelete(_)
            | Event::ImageSend(..)
            | Event::TaskSuccess(_)
            | Event::TaskFailure(_) => return Ok(()),
            Event::Other { payload, .. } => return self.check([payload], 1, 0),
        };
        self.check_maps([Some(&image.other)], image.properties.len())
    }

    /// Checks the payload of a notification as a JSON text.
    fn check_text(&self, json: &str) -> Result<()> {
        let (mut depth, mut keys) = (1, 0);
        for token in JsonTokens::new(json) {
            match token {
                JsonToken::Open(_) if depth >= self.depth => return Err(self.depth_error()),
                JsonToken::Open(_) => depth += 1,
                JsonToken::Close => depth -= 1,
                JsonToken::Key(_) => keys += 1,
                _ => {}
            }
        }
        if keys > self.keys { Err(self.keys_error()) } else { Ok(()) }
    }

    /// Checks maps that are members of the payload, together with `keys` other keys.
    fn check_maps<const N: usize>(
        &self,
        maps: [Option<&Map<String, Value>>; N],
        keys: usize,
    ) -> Result<()> {
        let maps = maps.into_iter().flatten();
        let keys = keys + maps.clone().map(Map::len).sum::<usize>();
        self.check(maps.flat_map(Map::values), 3, keys)
    }

    /// Walks `roots`, which lie at `depth`, with a stack on the heap.
    fn check<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a Value>,
        depth: usize,
        mut keys: usize,
    ) -> Result<()> {
        let mut open: Vec<_> =
            roots.into_iter().filter(|value| nests(value)).map(|root| (root, depth + 1)).collect();
        while let Some((value, depth)) = open.pop() {
            if depth > self.depth {
                return Err(self.depth_error());
            }
            match value {
                Value::Object(map) => {
                    keys += map.len();
                    open.extend(
                        map.values().filter(|value| nests(value)).map(|value| (value, depth + 1)),
                    );
                }
                Value::Array(items) => {
                    open.extend(
                        items.iter().filter(|value| nests(value)).map(|value| (value, depth + 1)),
                    );
                }
                _ => {}
            }
        }
        if keys > self.keys { Err(self.keys_error()) } else { Ok(()) }
    }
}

/// Returns `true` if a value can contain others.
fn nests(value: &Value) -> bool {
    value.is_object() || value.is_array()
}
