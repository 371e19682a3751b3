//! The forms in which a notification arrives: bare JSON, oslo's envelope 2.0, and a line of a log file.
//!
//! This module finds the JSON text of the notification in a line. It names inputs that are common in the
//! field and hold no JSON, and says how to convert them. It reads no attribute.

use std::ops::Range;

use serde::de::IgnoredAny;

use super::log_prefix::logger_end;
use super::problem::{ONE_LINE, Problem};

/// Returns the place of the JSON text in one line of input.
///
/// Skips a byte order mark of UTF-8, and everything that a log file has in front of the JSON.
///
/// # Errors
///
/// Returns the problem of a line that is known to hold no JSON object.
pub(crate) fn json_range(line: &[u8]) -> Result<Range<usize>, Problem> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let start = if line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let text = &line[start..];
    let trimmed = text.trim_ascii();
    let found = match trimmed {
        [0x1f, 0x8b, ..] => "gzip data: decompress it first, for example with `zcat`",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, _, 0, ..] | [0, b'{', 0, ..] => {
            "text in UTF-16: convert it to UTF-8 first, for example with `iconv -f UTF-16 -t UTF-8`"
        }
        b"{" => {
            "JSON on several lines: put each notification on one line, for example with `jq -c .`"
        }
        [b'[', ..] if is_list_of_objects(trimmed) => {
            "a list of notifications: put each on a line of its own, for example with `jq -c '.[]'`"
        }
        [b'{', rest @ ..] if is_python_key(rest) => PYTHON,
        [b'{', ..] => return Ok(start..line.len()),
        _ => match after_logger(text) {
            Some(json) if is_python_key(text[json..].get(1..).unwrap_or_default()) => PYTHON,
            Some(json) => {
                let end = end_of_value(&text[json..]).unwrap_or(text.len() - json);
                return Ok(start + json..start + json + end);
            }
            None => return Ok(start..line.len()),
        },
    };
    Err(Problem::new("", ONE_LINE, found))
}

/// Returns the token of Python that `serde_json` rejected at `column`, counted from 1.
///
/// Python's `json` writes `NaN`, `Infinity` and `-Infinity`, which JSON does not have.
pub(crate) fn python_number(json: &[u8], column: usize) -> Option<&'static str> {
    // The column is that of the token's first or second byte.
    let near = json.get(column.saturating_sub(3)..)?;
    ["-Infinity", "Infinity", "NaN"]
        .into_iter()
        .find(|token| near.windows(token.len()).take(4).any(|window| window == token.as_bytes()))
}

/// Returns the start of the JSON text that oslo.messaging's driver `log` wrote, if the line is one of its lines.
///
/// The notifier of Glance in 2013 logged under another name, and wrote Python.
fn after_logger(text: &[u8]) -> Option<usize> {
    let logger = logger_end(text)?;
    let brace = text[logger..].iter().position(|&byte| byte == b'{')?;
    Some(logger + brace)
}

/// Returns the length of the JSON value at the begin of `text`. oslo.log adds the exception that is being
/// handled behind it.
fn end_of_value(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Returns `true` if a text is a JSON list whose first item is an object.
fn is_list_of_objects(text: &[u8]) -> bool {
    text[1..].trim_ascii_start().starts_with(b"{") || text == b"["
}

/// Returns `true` if a text begins like a key of a dictionary in Python: `'message_id'` or `u'…'`.
fn is_python_key(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start(), [b'\'', ..] | [b'u', b'\'' | b'"', ..])
}

/// The finding that a line holds Python instead of JSON.
const PYTHON: &str = "a Python dictionary: convert it to JSON first, for example with \
                      `ast.literal_eval` and `json.dumps`";
