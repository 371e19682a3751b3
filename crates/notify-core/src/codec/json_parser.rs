//! A parser of JSON from outside, with limits of size, depth and keys.
//!
//! It also rejects duplicate keys, because two readers may disagree about them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::value::RawValue;

use super::input_form::python_number;
use super::json_tokens::{JsonToken, JsonTokens, unescape};
use super::limits::SizeLimits;
use super::problem::{JSON, Problem, Problems, WITHIN_LIMITS, escape};
use crate::error::{Error, ErrorKind};
use crate::redact::printable::printable;

/// Parses the JSON text at `range` of a line within `limits`. Positions in problems count from the start
/// of the line.
///
/// The value stays a text, which converts no number and no string.
///
/// # Errors
///
/// Returns the first problem. Its kind is `TooLarge` for an exceeded limit, and `Invalid` otherwise.
pub(crate) fn parse<'a>(
    line: &'a [u8],
    range: Range<usize>,
    limits: &SizeLimits,
) -> Result<&'a RawValue, Problems> {
    let start = range.start;
    let json = &line[range];
    limits.check_size(json.len()).map_err(|error| too_large(&error))?;
    let value: &RawValue =
        serde_json::from_slice(json).map_err(|error| syntax(&error, json, start))?;
    check(value.get(), limits)?;
    Ok(value)
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

/// Checks a valid JSON text against `limits` and for duplicate keys, without recursion.
///
/// # Errors
///
/// Returns the first violation. Its kind is `TooLarge` for an exceeded limit, and `Invalid` otherwise.
fn check(json: &str, limits: &SizeLimits) -> Result<(), Problems> {
    let mut open: Vec<OpenValue<'_>> = Vec::new();
    let mut keys = 0;
    let violation = |open: &[OpenValue<'_>], expected: &str, error: &Error| {
        let pointer = open.iter().fold(String::new(), |pointer, value| {
            let segment = value
                .key
                .map_or_else(|| value.index.to_string(), |key| escape(&unescape(key).text));
            pointer + "/" + &segment
        });
        let expected = expected.into();
        Problems::one(error.kind(), Problem { pointer, expected, found: error.to_string() })
    };
    for token in JsonTokens::new(json) {
        match token {
            JsonToken::Key(key) => {
                keys += 1;
                let Some(object) = open.last_mut() else { continue };
                object.key = Some(key);
                let is_new = object.keys.insert(unescape(key).text);
                if keys > limits.keys {
                    open.pop();
                    return Err(violation(&open, WITHIN_LIMITS, &limits.keys_error()));
                }
                if !is_new {
                    let error = Error::new(ErrorKind::Invalid, "a duplicate key");
                    return Err(violation(&open, "each key once", &error));
                }
            }
            JsonToken::Open(is_object) => {
                if let Some(list) = open.last_mut().filter(|value| !value.is_object) {
                    list.next_item();
                }
                if open.len() >= limits.depth {
                    return Err(violation(&open, WITHIN_LIMITS, &limits.depth_error()));
                }
                open.push(OpenValue { is_object, ..OpenValue::default() });
            }
            JsonToken::Close => drop(open.pop()),
            JsonToken::Text(_) | JsonToken::Scalar(_) | JsonToken::Null => {
                if let Some(list) = open.last_mut().filter(|value| !value.is_object) {
                    list.next_item();
                }
            }
        }
    }
    Ok(())
}

/// An object or a list whose end the check has not reached.
#[derive(Default)]
struct OpenValue<'a> {
    is_object: bool,
    /// The keys of the object so far.
    keys: HashSet<Cow<'a, str>>,
    /// The last key of the object, as it is in the text.
    key: Option<&'a str>,
    /// The index of the last item of the list.
    index: usize,
    has_items: bool,
}

impl OpenValue<'_> {
    /// Moves on to the next item of a list.
    fn next_item(&mut self) {
        self.index += usize::from(self.has_items);
        self.has_items = true;
    }
}

/// The longest description of a syntax error, in characters.
const CAUSE_CHARS: usize = 256;
