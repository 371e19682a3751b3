//! The JSON writer of the encoder: it copies keys that are known at compile time, and scans every
//! string once.
//!
//! This path does not use serde. A notification has some twenty fixed keys around short strings. A
//! general serializer scans every key for quotes and is half as fast. The tests in `tests/core` still
//! compare the output with serde: they read it back with `serde_json`.
//!
//! Every string goes through the redaction policy of the writer. The policy decides which text is
//! secret, not the writer.

use std::net::IpAddr;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::json_tokens::surrogate;
use super::payload_style::PayloadStyle;
use crate::redact::policy::Redact;
use crate::redact::printable::is_unsafe;

/// A buffer of JSON, with the settings of the encoding.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    /// The JSON so far.
    pub(crate) bytes: Vec<u8>,
    pub(crate) redact: Redact,
    pub(crate) payloads: PayloadStyle,
    /// Whether a time had no form on the wire, because it lies before the year 0.
    pub(crate) bad_time: bool,
}

/// A value with a form on the wire.
pub(crate) trait WriteJson {
    /// Appends the value to `w` as JSON, redacted by the policy of `w`.
    fn write(&self, w: &mut JsonWriter);
}

impl JsonWriter {
    /// Appends a text that is JSON already.
    #[inline]
    pub(crate) fn raw(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// Writes an object. `entries` writes each entry with a leading comma.
    #[inline]
    pub(crate) fn object(&mut self, entries: impl FnOnce(&mut Self)) {
        self.bracketed(b'{', b'}', entries);
    }

    /// Writes a list. `items` writes each item with a leading comma.
    #[inline]
    pub(crate) fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.bracketed(b'[', b']', items);
    }

    /// Writes `inner` in brackets, replacing its first comma with the opening bracket.
    #[inline]
    fn bracketed(&mut self, open: u8, close: u8, inner: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        inner(self);
        match self.bytes.get_mut(start) {
            Some(comma) => *comma = open,
            None => self.bytes.push(open),
        }
        self.bytes.push(close);
    }

    /// Writes a comma and a key that is not known at compile time.
    pub(crate) fn key(&mut self, key: &str) {
        self.bytes.push(b',');
        key.write(self);
        self.bytes.push(b':');
    }

    /// Writes a string without redaction, on one line and harmless to a terminal.
    #[inline]
    pub(crate) fn string(&mut self, text: &str) {
        self.bytes.reserve(text.len() + 2);
        self.bytes.push(b'"');
        if is_plain(text.as_bytes()) {
            self.bytes.extend_from_slice(text.as_bytes());
        } else {
            self.escaped(text);
        }
        self.bytes.push(b'"');
    }

    /// Writes a string like [`string`](Self::string), and its stand-ins as the lone surrogates for which
    /// they stand.
    pub(crate) fn string_with_surrogates(&mut self, text: &str) {
        let mut rest = text;
        self.bytes.push(b'"');
        while let Some(at) = rest.find(|c| surrogate(c).is_some()) {
            let (before, from) = rest.split_at(at);
            self.escaped(before);
            let mut chars = from.chars();
            let unit = chars.next().and_then(surrogate).unwrap_or_default();
            self.raw(&format!("\\u{unit:04x}"));
            rest = chars.as_str();
        }
        self.escaped(rest);
        self.bytes.push(b'"');
    }

    /// Appends a string that contains characters to escape.
    #[cold]
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| must_escape(*c)) {
            self.raw(&rest[..at]);
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                // All other characters to escape fit one unit of UTF-16.
                c => {
                    let digit = |shift: u32| HEX[(u32::from(c) >> shift & 15) as usize];
                    self.bytes.extend_from_slice(&[
                        b'\\',
                        b'u',
                        digit(12),
                        digit(8),
                        digit(4),
                        digit(0),
                    ]);
                }
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.raw(rest);
    }

    /// Writes date and time in UTC and whole seconds: 19 characters.
    ///
    /// Sets [`bad_time`](Self::bad_time) if the year is negative.
    pub(crate) fn time(&mut self, time: OffsetDateTime, separator: u8) {
        let time = time.checked_to_offset(time::UtcOffset::UTC).unwrap_or(time);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let year = u32::try_from(year).unwrap_or_else(|_| {
            self.bad_time = true;
            0
        });
        let mut text = *b"0000-00-00 00:00:00";
        text[10] = separator;
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], u8::from(month).into());
        digits(&mut text[8..10], day.into());
        digits(&mut text[11..13], hour.into());
        digits(&mut text[14..16], minute.into());
        digits(&mut text[17..19], second.into());
        self.bytes.extend_from_slice(&text);
    }

    /// Writes a dot and the microseconds of a time: six digits.
    pub(crate) fn microseconds(&mut self, time: OffsetDateTime) {
        let mut text = *b".000000";
        digits(&mut text[1..], time.microsecond());
        self.bytes.extend_from_slice(&text);
    }
}

/// Redacts credentials of URLs in the text.
impl WriteJson for str {
    #[inline]
    fn write(&self, w: &mut JsonWriter) {
        w.string(&w.redact.text(self));
    }
}

impl<T: WriteJson + ?Sized> WriteJson for &T {
    #[inline]
    fn write(&self, w: &mut JsonWriter) {
        (**self).write(w);
    }
}

/// Writes `None` as null.
impl<T: WriteJson> WriteJson for Option<T> {
    #[inline]
    fn write(&self, w: &mut JsonWriter) {
        match self {
            Some(value) => value.write(w),
            None => w.raw("null"),
        }
    }
}

/// Writes null, for keys that are null in one of the payload styles.
impl WriteJson for () {
    fn write(&self, w: &mut JsonWriter) {
        w.raw("null");
    }
}

impl WriteJson for bool {
    fn write(&self, w: &mut JsonWriter) {
        w.raw(if *self { "true" } else { "false" });
    }
}

impl WriteJson for u64 {
    fn write(&self, w: &mut JsonWriter) {
        w.raw(itoa::Buffer::new().format(*self));
    }
}

impl WriteJson for Uuid {
    fn write(&self, w: &mut JsonWriter) {
        let mut text = [b'"'; 38];
        self.hyphenated().encode_lower(&mut text[1..37]);
        w.bytes.extend_from_slice(&text);
    }
}

impl WriteJson for IpAddr {
    fn write(&self, w: &mut JsonWriter) {
        w.string(&self.to_string());
    }
}

impl WriteJson for [String] {
    fn write(&self, w: &mut JsonWriter) {
        w.list(|w| {
            for text in self {
                w.bytes.push(b',');
                text.as_str().write(w);
            }
        });
    }
}

/// Writes a number, a string, a boolean or null. Objects and lists need a place in a payload; see
/// [`JsonTree`](super::json_tree::JsonTree).
pub(crate) fn write_scalar(value: &Value, w: &mut JsonWriter) {
    match value {
        Value::Null => w.raw("null"),
        Value::Bool(value) => value.write(w),
        Value::Number(number) => match number.as_u64() {
            Some(number) => number.write(w),
            None => w.raw(&number.to_string()),
        },
        Value::String(text) => text.as_str().write(w),
        Value::Array(_) | Value::Object(_) => debug_assert!(false, "not a scalar"),
    }
}

/// Writes one line of JSON from this writer as a JSON string.
///
/// Only quotes and backslashes need escaping: the writer has escaped everything else.
pub(crate) fn write_json_string(out: &mut Vec<u8>, json: &[u8]) {
    out.push(b'"');
    for piece in json.split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        match piece {
            [plain @ .., mark @ (b'"' | b'\\')] => {
                out.extend_from_slice(plain);
                out.extend_from_slice(&[b'\\', *mark]);
            }
            plain => out.extend_from_slice(plain),
        }
    }
    out.push(b'"');
}

/// Returns the JSON of a value under the default redaction policy, for `Debug`.
pub(crate) fn redacted_json(value: &(impl WriteJson + ?Sized)) -> String {
    let mut w = JsonWriter::default();
    value.write(&mut w);
    String::from_utf8_lossy(&w.bytes).into_owned()
}

/// Returns `true` if no byte of `text` needs escaping. The compiler checks many bytes at once.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &byte| {
        let stands = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        plain & stands
    })
}

/// Returns `true` if JSON or a terminal needs the character escaped.
fn must_escape(c: char) -> bool {
    matches!(c, '"' | '\\') || is_unsafe(c)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Fills `text` with the decimal digits of `number`, padded with zeros.
fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `serde_json` reads back every string, and no unsafe character appears unescaped.
    #[test]
    fn strings_are_json_that_reads_back() {
        for text in ["", "plain", "q\"b\\/", "\u{0}\u{1f}\n\r\t\u{7f}", "é\u{85}\u{2028}\u{202e}🖼"]
        {
            let mut w = JsonWriter::default();
            w.string(text);
            let json = std::str::from_utf8(&w.bytes).unwrap();
            assert_eq!(serde_json::from_str::<String>(json).unwrap(), text);
            assert!(!json.chars().any(is_unsafe), "{json}");
        }
    }

    /// The first comma becomes the bracket, and empty objects and lists have no comma at all.
    #[test]
    fn objects_and_lists_begin_with_their_bracket() {
        let mut w = JsonWriter::default();
        w.object(|w| {
            w.key("a");
            w.list(|_| {});
            w.key("b");
            w.object(|_| {});
            w.key("c");
            vec!["x".to_owned(), "y".to_owned()].as_slice().write(w);
        });
        assert_eq!(w.bytes, br#"{"a":[],"b":{},"c":["x","y"]}"#);
    }
}
