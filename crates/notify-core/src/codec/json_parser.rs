//! A parser of JSON from outside, with limits of size, depth and keys.
//!
//! It also rejects duplicate keys, because two readers may disagree about them, and numbers that 64 bits
//! cannot hold, because `serde_json` would change them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::input_form::python_number;
use super::limits::SizeLimits;
use super::problem::{JSON, Problem, Problems, WITHIN_LIMITS, escape};
use crate::error::{Error, ErrorKind};
use crate::redact::printable::printable;

/// Parses the JSON value at `range` of a line within `limits`. Positions in problems count from the start
/// of the line.
///
/// The first pass checks the limits and allocates only keys. The second pass, by `serde_json` alone,
/// builds the value.
///
/// # Errors
///
/// Returns the first problem. Its kind is `TooLarge` for an exceeded limit, and `Invalid` otherwise.
pub(crate) fn parse(
    line: &[u8],
    range: Range<usize>,
    limits: &SizeLimits,
) -> Result<Value, Problems> {
    let start = range.start;
    let json = &line[range];
    limits.check_size(json.len()).map_err(|error| too_large(&error))?;
    let check = LimitCheck { limits, progress: &RefCell::default(), depth: 0 };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let checked = check.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let problem = match checked {
        Ok(()) => return serde_json::from_slice(json).map_err(|error| syntax(&error, json, start)),
        Err(error) => error,
    };
    let progress = check.progress.take();
    Err(match progress.violation {
        None => syntax(&problem, json, start),
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

/// Creates the problem of a text that exceeds the size limit.
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

/// Creates the problem of a text that is not JSON, and begins at the byte `start` of its line.
fn syntax(error: &serde_json::Error, json: &[u8], start: usize) -> Problems {
    let found = in_words(error, json, start);
    Problems::one(
        ErrorKind::Invalid,
        Problem { pointer: String::new(), expected: JSON.into(), found },
    )
}

/// Describes a syntax error and its position: `unexpected character at column 2`.
///
/// `serde_json` names the token that its parser wanted: `expected ident at line 1 column 2`.
fn in_words(error: &serde_json::Error, json: &[u8], start: usize) -> String {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    let cause = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let number = if line == 1 { python_number(json, column) } else { None };
    let column = if line == 1 { column + start } else { column };
    if let Some(number) = number {
        return format!("`{number}` at column {column}: write null instead");
    }
    let cause = match cause {
        "expected ident" | "expected value" => "unexpected character",
        cause if cause.starts_with("EOF while parsing") => "unexpected end of input",
        cause => cause,
    };
    let cause = printable(cause, CAUSE_CHARS);
    match line {
        0 => cause.to_string(),
        1 => format!("{cause} at column {column}"),
        _ => format!("{cause} at line {line} column {column}"),
    }
}

/// The state of the first pass.
#[derive(Default)]
struct ScanProgress {
    /// The number of keys so far, in all objects together.
    keys: usize,
    violation: Option<Violation>,
    /// The path to the violation, innermost segment first. Each level adds its segment on the way out.
    path: Vec<String>,
}

/// A limit or rule that a value breaks.
struct Violation {
    expected: &'static str,
    error: Error,
}

/// The visitor of the first pass, for a value at `depth`.
#[derive(Clone, Copy)]
struct LimitCheck<'a> {
    limits: &'a SizeLimits,
    progress: &'a RefCell<ScanProgress>,
    depth: usize,
}

impl LimitCheck<'_> {
    /// Returns the visitor of the values inside this one.
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.limits.depth {
            return Err(self.violation(WITHIN_LIMITS, self.limits.depth_error()));
        }
        Ok(Self { depth, ..self })
    }

    /// Records a violation and creates the error that ends the pass.
    fn violation<E: serde::de::Error>(self, expected: &'static str, error: Error) -> E {
        let text = E::custom(&error);
        self.progress.borrow_mut().violation = Some(Violation { expected, error });
        text
    }

    /// Adds a segment to the path, if the pass ends because of a violation.
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
        // `serde_json` rounds whole numbers of this size to the nearest floating-point number.
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

/// The longest description of a syntax error, in characters.
const CAUSE_CHARS: usize = 256;
