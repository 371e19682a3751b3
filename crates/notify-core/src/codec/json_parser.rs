//! A parser of JSON from outside, with limits of depth and keys.
//!
//! It also rejects duplicate keys, because two readers may disagree about them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::byte_scan::for_each_word;
use super::input_form::python_number;
use super::json_tokens::{JsonText, JsonToken, JsonTokens};
use super::limits::SizeLimits;
use super::problem::{JSON, Problem, Problems, UNREADABLE, WITHIN_LIMITS, escape, kind_of};
use crate::error::{Error, ErrorKind};
use crate::redact::printable::printable;

/// Parses the JSON text at `range` of a line within `limits` as an object. The caller checks its size.
/// Positions in problems count from the start of the line.
///
/// The values stay texts, which converts no number and no string.
///
/// # Errors
///
/// Returns the first problem. Its kind is `TooLarge` for an exceeded limit, and `Invalid` otherwise.
pub(super) fn parse_object<'a>(
    line: &'a [u8],
    range: Range<usize>,
    limits: &SizeLimits,
) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Problems> {
    let start = range.start;
    let json = &line[range];
    if let Ok(text) = std::str::from_utf8(json)
        && let Ok(Entries(entries)) = serde_json::from_str(text)
    {
        check_entries(&entries, limits)?;
        return Ok(entries);
    }
    let value: &RawValue =
        serde_json::from_slice(json).map_err(|error| syntax(&error, json, start))?;
    check(value.get(), None, &mut Vec::new(), &mut 0, limits)?;
    let problem = match kind_of(value.get()) {
        "an object" => Problem::new("", "keys of whole characters", UNREADABLE),
        kind => Problem::new("", "an object", kind),
    };
    Err(Problems::one(ErrorKind::Invalid, problem))
}

/// The entries of an object in their order, with values as they are in the text.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// The visitor of [`Entries`].
struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::with_capacity(8);
        while let Some((Key(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Entries(entries))
    }
}

/// A key, borrowed if it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Creates the problem of a text that exceeds the size limit.
pub(super) fn too_large(error: &Error) -> Problems {
    Problems::one(error.kind(), Problem::new("", WITHIN_LIMITS, error.to_string()))
}

/// Creates the problem of a text that is not JSON, and begins at the byte `start` of its line.
fn syntax(error: &serde_json::Error, json: &[u8], start: usize) -> Problems {
    let found = in_words(error, json, start);
    Problems::one(ErrorKind::Invalid, Problem::new("", JSON, found))
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

/// Checks the entries of an object against `limits` and for duplicate keys.
///
/// # Errors
///
/// Returns the first violation. Its kind is `TooLarge` for an exceeded limit, and `Invalid` otherwise.
fn check_entries(
    entries: &[(Cow<'_, str>, &RawValue)],
    limits: &SizeLimits,
) -> Result<(), Problems> {
    let mut keys = Vec::with_capacity(32.max(entries.len()));
    let of_entries = entries.iter().map(|(key, _)| JsonText::unescaped(key));
    keys.extend(of_entries.map(|key| (hash(key), key)));
    let mut key_count = keys.len();
    if key_count > limits.keys {
        return Err(violation("", WITHIN_LIMITS, &limits.keys_error()));
    }
    if let Some(key) = duplicate(&mut keys) {
        return Err(duplicate_key(&format!("/{}", escape(key.escaped))));
    }
    let nested = entries.iter().filter(|(_, value)| value.get().starts_with(['{', '[']));
    for (key, value) in nested {
        keys.clear();
        check(value.get(), Some(key), &mut keys, &mut key_count, limits)?;
    }
    Ok(())
}

/// Does the same for a valid JSON text under `root`, without recursion, and counts its keys.
///
/// `keys` is empty. It holds the keys of all open objects, each with its hash.
fn check<'a>(
    json: &'a str,
    root: Option<&str>,
    keys: &mut Vec<(u64, JsonText<'a>)>,
    key_count: &mut usize,
    limits: &SizeLimits,
) -> Result<(), Problems> {
    let mut open: Vec<OpenValue<'_>> = Vec::with_capacity(8);
    let pointer = |open: &[OpenValue<'_>]| {
        let root = root.map_or_else(String::new, |key| format!("/{}", escape(key)));
        open.iter().fold(root, |pointer, value| match value.key {
            Some(key) => format!("{pointer}/{}", escape(&key.unescape().text)),
            None => format!("{pointer}/{}", value.items.saturating_sub(1)),
        })
    };
    for token in JsonTokens::new(json) {
        match token {
            JsonToken::Key(key) => {
                *key_count += 1;
                if *key_count > limits.keys {
                    open.pop();
                    return Err(violation(&pointer(&open), WITHIN_LIMITS, &limits.keys_error()));
                }
                if let Some(object) = open.last_mut() {
                    object.key = Some(key);
                }
                keys.push((hash(key), key));
                continue;
            }
            JsonToken::Close(_) => {
                let Some(closed) = open.pop() else { continue };
                if let Some(key) = duplicate(&mut keys[closed.keys_start..]) {
                    let key = escape(&key.unescape().text);
                    return Err(duplicate_key(&format!("{}/{key}", pointer(&open))));
                }
                keys.truncate(closed.keys_start);
                continue;
            }
            _ => {}
        }
        if let Some(container) = open.last_mut() {
            container.items += 1;
        }
        if let JsonToken::Open(_) = token {
            if open.len() + usize::from(root.is_some()) >= limits.depth {
                return Err(violation(&pointer(&open), WITHIN_LIMITS, &limits.depth_error()));
            }
            open.push(OpenValue { key: None, items: 0, keys_start: keys.len() });
        }
    }
    Ok(())
}

/// Creates the problem of an exceeded limit or a duplicate key.
fn violation(pointer: &str, expected: &str, error: &Error) -> Problems {
    Problems::one(error.kind(), Problem::new(pointer, expected, error.to_string()))
}

/// Creates the problem of a key that occurs twice.
fn duplicate_key(pointer: &str) -> Problems {
    violation(pointer, "each key once", &Error::new(ErrorKind::Invalid, "a duplicate key"))
}

/// An object or a list whose end the check has not reached.
struct OpenValue<'a> {
    /// The last key of an object, as it is in the text.
    key: Option<JsonText<'a>>,
    /// The number of values so far.
    items: usize,
    /// The number of keys of the objects around this one.
    keys_start: usize,
}

/// Returns a key that occurs twice among the keys of one object.
fn duplicate<'a>(keys: &mut [(u64, JsonText<'a>)]) -> Option<JsonText<'a>> {
    // Most keys differ in six bits of their hash from all before them, so few pairs are compared. Sorting few
    // keys takes longer, and not much longer for many.
    let mut seen = 0_u64;
    let repeats = |(at, (hash, _)): (usize, &(u64, _))| {
        let bit = 1 << (hash >> 58);
        let may_repeat = seen & bit != 0;
        seen |= bit;
        may_repeat && keys[..at].iter().any(|(other, _)| other == hash)
    };
    if keys.len() <= 32 && !keys.iter().enumerate().any(repeats) {
        return None;
    }
    keys.sort_unstable_by_key(|(hash, _)| *hash);
    keys.chunk_by(|(one, _), (other, _)| one == other).filter(|same| same.len() > 1).find_map(
        |same| {
            // Two keys with one hash are equal, unless a hostile sender chose them.
            let mut seen = HashSet::new();
            same.iter().find(|(_, key)| !seen.insert(key.unescape().text)).map(|(_, key)| *key)
        },
    )
}

/// Returns a number that is the same for keys that are equal without their escapes.
fn hash(key: JsonText<'_>) -> u64 {
    let text = key.unescape().text;
    let mut hash = text.len() as u64;
    for_each_word(text.as_bytes(), |word| {
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    });
    hash
}

/// The longest description of a syntax error, in characters.
const CAUSE_CHARS: usize = 256;
