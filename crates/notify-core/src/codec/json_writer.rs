//! Writing JSON: what is known at compile time is copied, and every string is looked at once.
//!
//! serde is not used on this path. A notification is some twenty fixed keys around short strings;
//! a general serializer looks at every key as if it could hold a quote, and is half as fast.
//! What is written is still pinned by serde: `tests/core` reads it back with `serde_json`.

use std::net::IpAddr;

use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::payload_style::PayloadStyle;
use crate::redact::policy::Redact;
use crate::redact::printable::is_unsafe;

/// Where JSON is written, and how.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    pub(crate) bytes: Vec<u8>,
    pub(crate) redact: Redact,
    pub(crate) payloads: PayloadStyle,
    /// Whether there was a time that has no form on the wire.
    pub(crate) bad_time: bool,
}

/// What can be written as JSON.
pub(crate) trait WriteJson {
    fn write(&self, w: &mut JsonWriter);
}

impl JsonWriter {
    /// Writes what is JSON already.
    #[inline]
    pub(crate) fn raw(&mut self, json: &str) {
        self.bytes.extend_from_slice(json.as_bytes());
    }

    /// Writes an object of entries that each begin with a comma.
    #[inline]
    pub(crate) fn object(&mut self, entries: impl FnOnce(&mut Self)) {
        self.bracketed(b'{', b'}', entries);
    }

    /// Writes a list of items that each begin with a comma.
    #[inline]
    pub(crate) fn list(&mut self, items: impl FnOnce(&mut Self)) {
        self.bracketed(b'[', b']', items);
    }

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

    /// Writes the key of an entry that is not known at compile time.
    pub(crate) fn key(&mut self, key: &str) {
        self.bytes.push(b',');
        key.write(self);
        self.bytes.push(b':');
    }

    /// Writes a string as it is, on one line and harmless to a terminal.
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
                // Every other stands in the basic plane: one unit of UTF-16.
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

    /// Writes date and time in UTC, whole seconds: 19 characters.
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

    /// Writes the microseconds of a time: a dot and six digits.
    pub(crate) fn microseconds(&mut self, time: OffsetDateTime) {
        let mut text = *b".000000";
        digits(&mut text[1..], time.microsecond());
        self.bytes.extend_from_slice(&text);
    }
}

/// Whether all bytes stand for themselves in a string. Many are looked at in one go.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &byte| {
        let stands = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        plain & stands
    })
}

fn must_escape(c: char) -> bool {
    matches!(c, '"' | '\\') || is_unsafe(c)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A text leaves without the credentials of the URLs in it.
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

impl<T: WriteJson> WriteJson for Option<T> {
    #[inline]
    fn write(&self, w: &mut JsonWriter) {
        match self {
            Some(value) => value.write(w),
            None => w.raw("null"),
        }
    }
}

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

/// Numbers, true, false and null; everything else has rules of its own.
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

/// Writes `json`, which is one line of JSON of ours, as a JSON string: only quotes and backslashes
/// are left in it to escape.
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

/// What `Debug` shows of something that may hold secrets: its JSON as it leaves by default.
pub(crate) fn redacted_json(value: &(impl WriteJson + ?Sized)) -> String {
    let mut w = JsonWriter::default();
    value.write(&mut w);
    String::from_utf8_lossy(&w.bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
