//! How deep, how wide and how large a notification may be, in both directions.

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::image::DeletedImage;
use crate::event::payload::{Event, Payload, PayloadView};

/// What is refused as too large, when reading and when emitting. The defaults are far above what a
/// notification of an image needs and far below what harms a broker or a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Objects and lists inside each other, the notification itself being the first. Default 64.
    pub depth: usize,
    /// Keys of all objects together. Default 4096.
    pub keys: usize,
    /// Size of the notification in bytes of JSON. Default 1 MiB.
    pub bytes: usize,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self { depth: 64, keys: 4096, bytes: 1024 * 1024 }
    }
}

impl SizeLimits {
    pub(crate) fn check_size(&self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(self.size_error(&format!("{bytes} bytes")))
    }

    /// The error of a notification that is too large.
    pub(crate) fn size_error(&self, size: &str) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the notification is too large: {size}, the limit is {} bytes", self.bytes),
        )
    }

    pub(crate) fn depth_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload is nested too deeply: the limit is {} levels", self.depth),
        )
    }

    pub(crate) fn keys_error(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!("the payload has too many keys: the limit is {}", self.keys),
        )
    }

    /// Checks what a caller can nest and multiply at will before it is walked recursively.
    pub(crate) fn check_payload(&self, payload: &PayloadView<'_>) -> Result<()> {
        let event = match payload {
            PayloadView::AsRead(_, value) => return self.check([*value], 1, 0),
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
        };
        self.check_maps([Some(&image.other)], image.properties.len())
    }

    fn check_maps<const N: usize>(
        &self,
        maps: [Option<&Map<String, Value>>; N],
        keys: usize,
    ) -> Result<()> {
        let maps = maps.into_iter().flatten();
        let keys = keys + maps.clone().map(Map::len).sum::<usize>();
        self.check(maps.flat_map(Map::values), 3, keys)
    }

    /// Walks `roots`, which stand inside of `depth` others, with a stack of its own.
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

fn nests(value: &Value) -> bool {
    value.is_object() || value.is_array()
}
