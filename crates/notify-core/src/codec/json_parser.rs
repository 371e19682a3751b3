//! Parsing JSON that may be hostile: bounded in size, depth and keys, and without a key twice.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::limits::SizeLimits;
use super::problem::{Problem, Problems, escape};
use crate::error::{Error, ErrorKind};
use crate::redact::printable::printable;

/// Parses one JSON value within `limits`.
///
/// A first pass checks and keeps nothing; a second one, of `serde_json` alone, builds the value. A
/// number that no 64 bits hold would be changed by that, so it is refused.
pub(crate) fn parse(json: &[u8], limits: &SizeLimits) -> Result<Value, Problems> {
    limits.check_size(json.len()).map_err(|error| too_large(&error))?;
    let check = LimitCheck { limits, progress: &RefCell::default(), depth: 0 };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let checked = check.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let problem = match checked {
        Ok(()) => return serde_json::from_slice(json).map_err(|error| syntax(&error)),
        Err(error) => error,
    };
    let progress = check.progress.take();
    Err(match progress.violation {
        None => syntax(&problem),
        Some(violation) => Problems::one(
            violation.kind(),
            Problem {
                pointer: progress
                    .path
                    .into_iter()
                    .rev()
                    .fold(String::new(), |at, key| at + "/" + &key),
                expected: "a notification within the limits".into(),
                found: violation.to_string(),
            },
        ),
    })
}

fn too_large(error: &Error) -> Problems {
    Problems::one(
        error.kind(),
        Problem {
            pointer: String::new(),
            expected: "a notification within the limits".into(),
            found: error.to_string(),
        },
    )
}

fn syntax(error: &serde_json::Error) -> Problems {
    Problems::one(
        ErrorKind::Invalid,
        Problem {
            pointer: String::new(),
            expected: "JSON".into(),
            found: printable(&error.to_string(), 256).to_string(),
        },
    )
}

/// What the first pass knows: how many keys there were, and on the way out of a violation, where.
#[derive(Default)]
struct ScanProgress {
    keys: usize,
    violation: Option<Error>,
    path: Vec<String>,
}

#[derive(Clone, Copy)]
struct LimitCheck<'a> {
    limits: &'a SizeLimits,
    progress: &'a RefCell<ScanProgress>,
    depth: usize,
}

impl LimitCheck<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.limits.depth {
            return Err(self.violation(self.limits.depth_error()));
        }
        Ok(Self { depth, ..self })
    }

    fn violation<E: serde::de::Error>(self, error: Error) -> E {
        let text = E::custom(&error);
        self.progress.borrow_mut().violation = Some(error);
        text
    }

    fn leave(self, segment: impl FnOnce() -> String) {
        let mut progress = self.progress.borrow_mut();
        if progress.violation.is_some() {
            progress.path.push(escape(&segment()));
        }
    }
}

impl<'de> DeserializeSeed<'de> for LimitCheck<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LimitCheck<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        // From here on a whole number of JSON is read as the nearest fraction there is.
        if number.abs() < 9_223_372_036_854_775_808.0 {
            return Ok(());
        }
        Err(self
            .violation(Error::new(ErrorKind::Invalid, "a number that 64 bits cannot hold exactly")))
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let item = self.deeper()?;
        for index in 0_usize.. {
            match items.next_element_seed(item) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => {
                    self.leave(|| index.to_string());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let value = self.deeper()?;
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.progress.borrow_mut().keys += 1;
            if self.progress.borrow().keys > self.limits.keys {
                return Err(self.violation(self.limits.keys_error()));
            }
            if keys.contains(&key) {
                let error = self.violation(Error::new(ErrorKind::Invalid, "the same key twice"));
                self.leave(|| key);
                return Err(error);
            }
            if let Err(error) = entries.next_value_seed(value) {
                self.leave(|| key);
                return Err(error);
            }
            keys.insert(key);
        }
        Ok(())
    }
}
