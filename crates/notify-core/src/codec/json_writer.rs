//! The writer of notifications: one line of JSON, redacted and bounded while it is written.
//!
//! The writer is a serializer of serde for payloads that a program constructed; see
//! [`json_serializer`](super::json_serializer). [`JsonTokens`] reads payloads that were read. Both end in
//! the same few methods here, so every payload has the same redaction, escapes and limits. The policy
//! decides which text is secret, not the writer.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;

use super::byte_scan::{TextScan, scan};
use super::json_tokens::{JsonToken, JsonTokens, UnescapedText, surrogate};
use super::limits::SizeLimits;
use crate::error::Result;
use crate::redact::payload_place::PayloadPlace;
use crate::redact::policy::Redact;
use crate::redact::printable::is_unsafe;
use crate::redact::rules::{KeyRule, MASK};

/// A buffer of JSON, with the policy and the limits of the notification in it.
///
/// The writer hides a secret value after the fact: it cuts the value off the buffer.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    /// The JSON so far.
    pub(crate) bytes: Vec<u8>,
    redact: Redact,
    limits: SizeLimits,
    /// The number of keys so far.
    keys: usize,
    /// The number of objects and lists whose ends are missing.
    depth: usize,
    /// The places of their values, from the outside in, if the policy is strict.
    places: Vec<PayloadPlace>,
    /// The place of the next value.
    place: PayloadPlace,
    /// The role of the next string.
    pub(super) next_string: StringRole,
    /// The outermost entry to hide.
    hidden: Option<HiddenEntry>,
    /// The place in the buffer of the last value that is a query string.
    query_start: usize,
    /// The keys with a mask in the open objects that have some, from the outside in.
    masked_keys: Vec<MaskedKeys>,
}

/// The role of a string that serde hands over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StringRole {
    /// A value with any content.
    #[default]
    Text,
    /// A value without a character to escape and without a URL.
    PlainText,
    /// The digits of a number.
    Number,
    /// The key of an entry.
    Key,
}

/// An entry whose value is secret.
#[derive(Clone, Copy, Debug)]
struct HiddenEntry {
    /// The number of open containers around the entry.
    depth: usize,
    /// The start of the bytes to cut: the value to mask, or the whole entry.
    start: usize,
    is_masked: bool,
}

/// The keys of one object that hold a mask.
#[derive(Debug)]
struct MaskedKeys {
    /// The number of open containers, the object included.
    depth: usize,
    keys: HashSet<String>,
    /// The number of the last key that would have repeated another.
    number: usize,
}

impl MaskedKeys {
    /// Creates an empty set.
    fn new(depth: usize) -> Self {
        Self { depth, keys: HashSet::new(), number: 1 }
    }

    /// Adds a key. Returns it with a number if the object has such a key already.
    fn add<'a>(&mut self, key: &Cow<'a, str>) -> Cow<'a, str> {
        let mut unique = key.clone();
        while self.keys.contains(&*unique) {
            // No number comes twice, so that many equal keys take linear time.
            self.number += 1;
            unique = format!("{key} ({})", self.number).into();
        }
        self.keys.insert(unique.clone().into_owned());
        unique
    }
}

impl JsonWriter {
    /// Creates a writer of a value at `place`, which appends to `bytes`.
    pub(crate) fn new(
        bytes: Vec<u8>,
        place: PayloadPlace,
        redact: Redact,
        limits: SizeLimits,
    ) -> Self {
        let (keys, depth, places) = (0, 0, Vec::new());
        Self {
            bytes,
            redact,
            limits,
            keys,
            depth,
            places,
            place,
            next_string: StringRole::Text,
            hidden: None,
            query_start: usize::MAX,
            masked_keys: Vec::new(),
        }
    }

    /// Creates a writer for `Debug`, with the default policy.
    fn for_debug() -> Self {
        let unlimited = SizeLimits { depth: 128, keys: usize::MAX, bytes: usize::MAX };
        Self::new(Vec::new(), PayloadPlace::Elsewhere, Redact::default(), unlimited)
    }

    /// Writes a valid JSON text.
    ///
    /// Everything but secrets comes out JSON-equal: numbers digit by digit, keys in their order, and half
    /// surrogate pairs as the escapes that they were. White space between tokens goes.
    ///
    /// # Errors
    ///
    /// Returns the error of the limit that the text exceeds.
    pub(crate) fn json(&mut self, json: &str) -> Result<()> {
        for token in JsonTokens::new(json) {
            match token {
                JsonToken::Open(is_object) => self.open(is_object)?,
                JsonToken::Close(is_object) => self.close(is_object),
                JsonToken::Key(key) => self.key(&key.unescape())?,
                JsonToken::Text(text) => {
                    let UnescapedText { text, has_surrogates } = text.unescape();
                    self.text(&text, has_surrogates);
                }
                JsonToken::Scalar(text) => self.scalar(text),
                JsonToken::Null => self.null(),
            }
        }
        Ok(())
    }

    /// Begins an object, or a list if `false`.
    pub(super) fn open(&mut self, is_object: bool) -> Result<()> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(self.limits.depth_error());
        }
        self.begin_value();
        self.bytes.push(if is_object { b'{' } else { b'[' });
        if self.redact == Redact::Strict {
            self.places.push(if is_object { self.place } else { self.place.in_list() });
        }
        Ok(())
    }

    /// Ends the innermost container, an object or a list.
    pub(super) fn close(&mut self, is_object: bool) {
        self.depth -= 1;
        self.places.pop();
        if self.masked_keys.last().is_some_and(|keys| keys.depth > self.depth) {
            self.masked_keys.pop();
        }
        self.bytes.push(if is_object { b'}' } else { b']' });
        self.end_value();
    }

    /// Begins an entry whose key is not known. The policy decides whether its value is secret.
    pub(super) fn key(&mut self, key: &UnescapedText<'_>) -> Result<()> {
        let text: &str = &key.text;
        let start = self.bytes.len();
        let is_first = self.count_entry(text)?;
        self.separate(is_first);
        let TextScan { is_plain, has_colon } = scan(text.as_bytes());
        let may_hold_url = has_colon || text.starts_with('/');
        let shown = if may_hold_url { self.shown_key(text) } else { Cow::Borrowed(text) };
        self.quoted(&shown, is_plain, key.has_surrogates);
        self.bytes.push(b':');
        match self.redact.key(text) {
            KeyRule::Keep => {}
            _ if self.hidden.is_some() => {}
            KeyRule::Query => self.query_start = self.bytes.len(),
            rule => {
                let is_masked = rule == KeyRule::Mask;
                let start = if is_masked { self.bytes.len() } else { start };
                self.hidden = Some(HiddenEntry { depth: self.depth, start, is_masked });
            }
        }
        Ok(())
    }

    /// Begins an entry whose key is known and never secret.
    #[expect(
        clippy::inline_always,
        reason = "a constant key then has a length known at compile time"
    )]
    #[inline(always)]
    pub(super) fn known_key(&mut self, key: &'static str) -> Result<()> {
        let is_first = self.count_entry(key)?;
        // One copy of a constant is quicker than one of each part.
        let mut entry = [0; 32];
        let length = key.len() + 4;
        if length > entry.len() {
            self.separate(is_first);
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(key.as_bytes());
            self.bytes.extend_from_slice(b"\":");
            return Ok(());
        }
        entry[..2].copy_from_slice(b",\"");
        entry[2..length - 2].copy_from_slice(key.as_bytes());
        entry[length - 2..length].copy_from_slice(b"\":");
        if is_first {
            self.bytes.extend_from_slice(&entry[1..length]);
        } else {
            self.bytes.extend_from_slice(&entry[..length]);
        }
        Ok(())
    }

    /// Writes a text. `has_surrogates` says whether it holds stand-ins for lone surrogates.
    pub(super) fn text(&mut self, text: &str, has_surrogates: bool) {
        self.begin_value();
        if self.hides_scalars() {
            self.mask();
        } else {
            self.string(text, has_surrogates);
        }
        self.end_value();
    }

    /// Writes a text that needs no escapes and has no URL.
    #[inline]
    pub(super) fn plain_text(&mut self, text: &str) {
        self.begin_value();
        if self.hides_scalars() {
            self.mask();
        } else {
            self.bytes.reserve(text.len() + 2);
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(b'"');
        }
        self.end_value();
    }

    /// Writes a number or a boolean.
    #[inline]
    pub(super) fn scalar(&mut self, scalar: &str) {
        self.begin_value();
        if self.hides_scalars() {
            self.mask();
        } else {
            self.bytes.extend_from_slice(scalar.as_bytes());
        }
        self.end_value();
    }

    /// Writes null, which is never secret.
    #[inline]
    pub(super) fn null(&mut self) {
        self.begin_value();
        self.bytes.extend_from_slice(b"null");
        self.end_value();
    }

    /// Counts an entry. Returns `true` if it is the first of its object.
    #[expect(
        clippy::inline_always,
        reason = "a constant key then has a length known at compile time"
    )]
    #[inline(always)]
    fn count_entry(&mut self, key: &str) -> Result<bool> {
        self.keys += 1;
        if self.keys > self.limits.keys {
            return Err(self.limits.keys_error());
        }
        if let Some(place) = self.places.last() {
            self.place = place.below(key);
        }
        Ok(self.bytes.last() == Some(&b'{'))
    }

    #[inline]
    fn separate(&mut self, is_first: bool) {
        if !is_first {
            self.bytes.push(b',');
        }
    }

    /// Separates the items of a list. A value behind a key needs no comma.
    #[inline]
    fn begin_value(&mut self) {
        match self.bytes.last() {
            None | Some(b':') => return,
            Some(b'[') => {}
            Some(_) => self.bytes.push(b','),
        }
        if let Some(place) = self.places.last() {
            self.place = *place;
        }
    }

    /// Hides the value that was written if its key is secret.
    #[inline]
    fn end_value(&mut self) {
        if let Some(hidden) = self.hidden
            && hidden.depth == self.depth
        {
            self.hide(hidden);
        }
    }

    /// Removes the value that was written, or masks it. Null needs no mask.
    #[cold]
    fn hide(&mut self, hidden: HiddenEntry) {
        self.hidden = None;
        let is_null = hidden.is_masked && &self.bytes[hidden.start..] == b"null";
        if !is_null {
            self.bytes.truncate(hidden.start);
        }
        if hidden.is_masked && !is_null {
            self.mask();
        }
    }

    /// Returns `true` if the policy hides every scalar at the place of the next value.
    fn hides_scalars(&self) -> bool {
        self.redact == Redact::Strict && !self.place.shows_scalars()
    }

    /// Writes the mask in place of a value.
    fn mask(&mut self) {
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(MASK.as_bytes());
        self.bytes.push(b'"');
    }

    /// Returns a key that may hold a URL without the credentials of URLs, and unlike each other key of its object.
    ///
    /// Readers refuse an object with the same key twice. Only a key that holds a mask can become equal to
    /// another.
    #[inline(never)]
    fn shown_key<'a>(&mut self, key: &'a str) -> Cow<'a, str> {
        let shown = self.redact.text(key);
        if self.redact == Redact::Off || !shown.contains(MASK) {
            return shown;
        }
        if self.masked_keys.last().is_none_or(|keys| keys.depth < self.depth) {
            self.masked_keys.push(MaskedKeys::new(self.depth));
        }
        match self.masked_keys.last_mut() {
            Some(keys) => keys.add(&shown),
            None => shown,
        }
    }

    /// Writes a string without the credentials of URLs, on one line and harmless to a terminal.
    #[inline]
    fn string(&mut self, text: &str, has_surrogates: bool) {
        let TextScan { is_plain, has_colon } = scan(text.as_bytes());
        // A URL has a colon, unless it has no scheme: then it begins with a slash.
        let shown = if self.bytes.len() == self.query_start {
            Cow::Owned(self.redact.query(text))
        } else if has_colon || text.starts_with('/') {
            self.redact.text(text)
        } else {
            Cow::Borrowed(text)
        };
        self.quoted(&shown, is_plain, has_surrogates);
    }

    /// Writes a redacted string. `is_plain` is that of the text, because redaction adds no character to escape.
    #[inline]
    fn quoted(&mut self, shown: &str, is_plain: bool, has_surrogates: bool) {
        self.bytes.reserve(shown.len() + 2);
        self.bytes.push(b'"');
        if is_plain {
            self.bytes.extend_from_slice(shown.as_bytes());
        } else {
            self.escaped(shown, has_surrogates);
        }
        self.bytes.push(b'"');
    }

    /// Appends a text with characters to escape, perhaps stand-ins for lone surrogates.
    #[cold]
    fn escaped(&mut self, text: &str, has_surrogates: bool) {
        let unit = |c| if has_surrogates { surrogate(c) } else { None };
        let must_escape = |c| matches!(c, '"' | '\\') || is_unsafe(c) || unit(c).is_some();
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| must_escape(*c)) {
            self.bytes.extend_from_slice(&rest.as_bytes()[..at]);
            match c {
                '"' => self.bytes.extend_from_slice(b"\\\""),
                '\\' => self.bytes.extend_from_slice(b"\\\\"),
                '\n' => self.bytes.extend_from_slice(b"\\n"),
                '\r' => self.bytes.extend_from_slice(b"\\r"),
                '\t' => self.bytes.extend_from_slice(b"\\t"),
                // All other characters to escape fit one unit of UTF-16.
                c => {
                    let unit = unit(c).unwrap_or(u32::from(c));
                    self.bytes.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.bytes.extend_from_slice(rest.as_bytes());
    }
}

/// Returns the JSON of a value under the default redaction policy, for `Debug`.
pub(crate) fn redacted_json(value: &(impl Serialize + ?Sized)) -> String {
    let mut w = JsonWriter::for_debug();
    let error = value.serialize(&mut w).err().map(|error| format!("({error})"));
    error.unwrap_or_else(|| String::from_utf8_lossy(&w.bytes).into_owned())
}

/// Returns a JSON text under the default redaction policy, for `Debug`.
pub(crate) fn redacted_text(json: &str) -> String {
    let mut w = JsonWriter::for_debug();
    let error = w.json(json).err().map(|error| format!("({error})"));
    error.unwrap_or_else(|| String::from_utf8_lossy(&w.bytes).into_owned())
}

/// Implements `Debug` as redacted JSON, so that a log shows no secret.
macro_rules! debug_as_redacted_json {
    ($($name:ident),+) => {$(
        /// Shows the payload as it leaves the process: without secrets.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", stringify!($name), crate::codec::json_writer::redacted_json(self))
            }
        }
    )+};
}

pub(crate) use debug_as_redacted_json;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Writes a text at a place.
    fn written(json: &str, place: PayloadPlace, redact: Redact) -> String {
        let mut w = JsonWriter { redact, place, ..JsonWriter::for_debug() };
        w.json(json).unwrap();
        String::from_utf8(w.bytes).unwrap()
    }

    /// Numbers, order, odd shapes and lone surrogates come out as they were.
    #[test]
    fn keeps_everything_but_secrets() {
        for json in [
            "1e2",
            "-0.0",
            "1234567890123456789012345678901234567890.50",
            r#"{"b":1E400,"a":[{},[],"",{"":null}],"c":true}"#,
            r#""caf\udce9 \ud800x \udbff\ud800""#,
            "\"\u{10f8ff}\"",
            r#"{"\ud800":"\udfff"}"#,
        ] {
            assert_eq!(written(json, PayloadPlace::Elsewhere, Redact::Secrets), json);
            let spaced = format!(" {json}\n");
            assert_eq!(written(&spaced, PayloadPlace::Elsewhere, Redact::Off), json);
        }
    }

    /// Escapes hide no key from the rules and no URL, and the second pass changes nothing.
    #[test]
    fn removes_and_masks_secrets_behind_escapes() {
        let json = r#"{ "pass\u0077ord": [1, {"x": 2}], "\u006cocation": {"a": ["S3"]}, "token": null,
            "t": "https:\/\/u:S3\u0040h/\u202e", "https://u:S3@h": 1, "l": [1, "a"], "cookie": {} }"#;
        let once = written(json, PayloadPlace::Elsewhere, Redact::Secrets);
        assert_eq!(
            once,
            r#"{"password":"***","token":null,"t":"https://***@h/\u202e","https://***@h":1,"l":[1,"a"]}"#
        );
        assert_eq!(written(&once, PayloadPlace::Elsewhere, Redact::Secrets), once);
    }

    /// The target of a request and a query string have no scheme. They lose their signatures, and a value of
    /// another type under the key of a query string loses what it would lose elsewhere.
    #[test]
    fn masks_signatures_of_requests() {
        let json = r#"{"requestPath":"/c/o?sig=S3&x=\"","/o?sig=S3":1,"REQUEST_METHOD":"sig=S",
            "QUERY_STRING":"sig=S3&a=\u202e&to=http://u:S3@h/","l":[{"QUERY_STRING":["sig=S"]}],
            "o":{"QUERY_STRING":{"token":"S3","x":"sig=S"},"query_string":null,"y":"sig=S"}}"#;
        let once = written(json, PayloadPlace::Elsewhere, Redact::Secrets);
        assert_eq!(
            once,
            r#"{"requestPath":"/c/o?sig=***&x=\"","/o?sig=***":1,"REQUEST_METHOD":"sig=S","QUERY_STRING":"sig=***&a=\u202e&to=http://***@h/","l":[{"QUERY_STRING":["sig=S"]}],"o":{"QUERY_STRING":{"token":"***","x":"sig=S"},"query_string":null,"y":"sig=S"}}"#
        );
        assert_eq!(written(&once, PayloadPlace::Elsewhere, Redact::Secrets), once);
    }

    /// Keys that differ only in credentials stay different, whatever keys are beside them.
    #[test]
    fn masks_no_two_keys_of_an_object_alike() {
        let json = r#"{"http://u:a@h":{"http://u:a@h":1},"http://u:b@h":[{"http://u:c@h":1}],"http://***@h (2)":2,"a:b":3,"http://u:d@h":4}"#;
        let once = written(json, PayloadPlace::Elsewhere, Redact::Secrets);
        assert_eq!(
            once,
            r#"{"http://***@h":{"http://***@h":1},"http://***@h (2)":[{"http://***@h":1}],"http://***@h (2) (3)":2,"a:b":3,"http://***@h (4)":4}"#
        );
        assert_eq!(written(&once, PayloadPlace::Elsewhere, Redact::Secrets), once);
        assert_eq!(written(json, PayloadPlace::Elsewhere, Redact::Off), json);
    }

    /// Many equal keys take linear time.
    #[test]
    fn masks_many_equal_keys_in_linear_time() {
        let named = (2..20_000).map(|number| format!(r#""http://***@h ({number})":0"#));
        let masked = (0..20_000).map(|number| format!(r#""http://u:p{number}@h":0"#));
        let json = format!("{{{}}}", named.chain(masked).collect::<Vec<_>>().join(","));
        let once = written(&json, PayloadPlace::Elsewhere, Redact::Secrets);
        let keys: std::collections::BTreeMap<String, u8> = serde_json::from_str(&once).unwrap();
        assert_eq!(keys.len(), 19_998 + 20_000);
    }

    /// A lone surrogate inside a password does not split it.
    #[test]
    fn masks_a_password_with_a_lone_surrogate() {
        let json = r#""at https://u:S\udce93@h/ and \udce9""#;
        let once = written(json, PayloadPlace::Elsewhere, Redact::Secrets);
        assert_eq!(once, r#""at https://***@h/ and \udce9""#);
    }

    /// The strict policy masks numbers and strings of a task's input, also in lists and deeper objects.
    #[test]
    fn strict_shows_only_the_image_name_and_formats() {
        let json = r#"{"task_input":{"import_from":"http://plain","import_from_format":"qcow2","retries":3,"none":null,"image_properties":{"name":"n","disk_format":"raw","note":"x","deep":{"name":"y"}},"list":["a",{"name":"b"}]},"message":"m"}"#;
        assert_eq!(
            written(json, PayloadPlace::Task, Redact::Strict),
            r#"{"task_input":{"import_from":"***","import_from_format":"qcow2","retries":"***","none":null,"image_properties":{"name":"n","disk_format":"raw","note":"***","deep":{"name":"***"}},"list":["***",{"name":"***"}]},"message":"m"}"#
        );
    }

    /// A value and its text come out the same, under each policy.
    #[test]
    fn values_and_texts_come_out_the_same() {
        let value = serde_json::json!({
            "a": [null, true, -1, u64::MAX, 1.5, "q\"b\\/\u{0}\u{1f}\n\r\t\u{7f}é\u{85}\u{2028}\u{202e}🖼"],
            "credentials": {"deep": ["S3"]}, "location": "S3", "m": {}, "task_input": {"n": [1, "x"]},
            "QUERY_STRING": "sig=S3", "requestPath": "/v1/c/o?temp_url_sig=S3",
        });
        let json = value.to_string();
        for redact in [Redact::Off, Redact::Secrets, Redact::Strict] {
            let place = PayloadPlace::Task;
            let mut w = JsonWriter { redact, place, ..JsonWriter::for_debug() };
            value.serialize(&mut w).unwrap();
            let line = String::from_utf8(w.bytes).unwrap();
            assert_eq!(line, written(&json, place, redact));
            assert!(!line.chars().any(is_unsafe), "{line}");
            let off: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(off == value, redact == Redact::Off);
        }
    }
}
