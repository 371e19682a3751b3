//! Parsing JSON that may be hostile: bounded in size, depth and keys, and without a key twice.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::limits::SizeLimits;
use super::problem::{JSON, Problem, Problems, WITHIN_LIMITS, escape};
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
        Some(Violation { expected, error }) => Problems::one(
            error.kind(),
            Problem {
                pointer: progress
                    .path
                    .into_iter()
                    .rev()
                    .fold(String::new(), |pointer, key| pointer + "/" + &key),
                expected: expected.into(),
                found: error.to_string(),
            },
        ),
    })
}

fn too_large(error: &Error) -> Problems {
    Problems::one(
        error.kind(),
        Problem {
            pointer: String::new(),
            expected: WITHIN_LIMITS.into(),
            found: error.to_string(),
        },
    )
}

fn syntax(error: &serde_json::Error) -> Problems {
    Problems::one(
        ErrorKind::Invalid,
        Problem { pointer: String::new(), expected: JSON.into(), found: in_words(error) },
    )
}

/// Says what is wrong with JSON, and where: `unexpected character at column 2`.
///
/// `serde_json` says what its parser was about to read: `expected ident at line 1 column 2`.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    let cause = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let cause = match cause {
        "expected ident" | "expected value" => "unexpected character",
        cause if cause.starts_with("EOF while parsing") => "unexpected end of input",
        cause => cause,
    };
    let cause = printable(cause, 256);
    match line {
        0 | 1 => format!("{cause} at column {column}"),
        _ => format!("{cause} at line {line} column {column}"),
    }
}

/// What the first pass knows: how many keys there were, and on the way out of a violation, where.
#[derive(Default)]
struct ScanProgress {
    keys: usize,
    violation: Option<Violation>,
    path: Vec<String>,
}

/// A limit or rule that a value breaks.
struct Violation {
    expected: &'static str,
    error: Error,
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
            return Err(self.violation(WITHIN_LIMITS, self.limits.depth_error()));
        }
        Ok(Self { depth, ..self })
    }

    fn violation<E: serde::de::Error>(self, expected: &'static str, error: Error) -> E {
        let text = E::custom(&error);
        self.progress.borrow_mut().violation = Some(Violation { expected, error });
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
        Err(self.violation(
            "a number that 64 bits can hold",
            Error::new(ErrorKind::Invalid, "a number out of range"),
        ))
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
                return Err(self.violation(WITHIN_LIMITS, self.limits.keys_error()));
            }
            if keys.contains(&key) {
                let error = self
                    .violation("each key once", Error::new(ErrorKind::Invalid, "a duplicate key"));
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
