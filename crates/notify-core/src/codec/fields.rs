//! The keys of one JSON object, read one by one into typed fields.
//!
//! Reading accepts every shape and no wrong type. A well-formed value that the typed form cannot hold
//! makes the shape foreign, and the caller then keeps the payload as it was read. A value of the wrong
//! type is a problem at its JSON pointer. Reading goes on after a problem, so that it reports all of
//! them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::problem::{NOTHING, escape};
use super::read_report::{ReadReport, kind_of};
use super::timestamp::{is_canonical_seconds, parse_time};
use crate::event::words::{AsWord, one_of};
use crate::redact::quote::quoted;

/// The meaning of an absent key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The same meaning as null.
    Null,
    /// A shape other than the documented one.
    Foreign,
    /// A problem.
    Invalid,
}

/// A reader of the keys of one object.
///
/// Each method reads one key, adds problems to the report, and returns `None` if it read no value. A
/// required key must be present; an optional one may be null or absent.
pub(crate) struct Fields<'a, 'r> {
    map: &'a Map<String, Value>,
    /// The JSON pointer to the object.
    pointer: &'static str,
    /// The keys that a method has read.
    taken: Vec<&'static str>,
    report: &'r mut ReadReport,
}

impl<'a, 'r> Fields<'a, 'r> {
    /// Creates a reader of `map`, which lies at `pointer`.
    pub(crate) fn new(
        map: &'a Map<String, Value>,
        pointer: &'static str,
        report: &'r mut ReadReport,
    ) -> Self {
        Self { map, pointer, taken: Vec::new(), report }
    }

    /// Records that the typed form would not write this object as it was read.
    pub(crate) fn mark_foreign(&mut self) {
        self.report.foreign = true;
    }

    /// Returns `true` if the object has `key`. Does not count as reading it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Reads a required UUID. Upper-case digits make the shape foreign.
    pub(crate) fn uuid(&mut self, key: &'static str) -> Option<Uuid> {
        const EXPECTED: &str = "a UUID with dashes";
        let text = self.required(key, EXPECTED, Absence::Invalid, Value::as_str)?;
        let Some(id) = parse_uuid(text) else {
            self.problem(key, EXPECTED, quoted(text));
            return None;
        };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.mark_foreign();
        }
        Some(id)
    }

    /// Reads a required string.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.required(key, "a string", Absence::Invalid, Value::as_str).map(str::to_owned)
    }

    /// Reads an optional string.
    pub(crate) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        self.optional(key, "a string or null", Value::as_str).map(str::to_owned)
    }

    /// Reads with `take` a key that may be null but must not be absent.
    pub(crate) fn nullable<T>(
        &mut self,
        key: &'static str,
        take: fn(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        self.require_key(key);
        take(self, key)
    }

    /// Reads a required word of a closed vocabulary.
    pub(crate) fn word<T: FromStr + AsWord>(&mut self, key: &'static str, all: &[T]) -> Option<T> {
        let expected = vocabulary(all);
        let text = self.required(key, &expected, Absence::Invalid, Value::as_str)?;
        self.parse_word(key, text, &expected)
    }

    /// Reads a word of a closed vocabulary that may be absent, but not null.
    pub(crate) fn optional_word<T: FromStr + AsWord>(
        &mut self,
        key: &'static str,
        all: &[T],
    ) -> Option<T> {
        let expected = vocabulary(all);
        let text = self.required(key, &expected, Absence::Null, Value::as_str)?;
        self.parse_word(key, text, &expected)
    }

    /// Parses a word, which the problem repeats if it is unknown.
    fn parse_word<T: FromStr>(
        &mut self,
        key: &'static str,
        text: &str,
        expected: &str,
    ) -> Option<T> {
        let word = text.parse().ok();
        if word.is_none() {
            self.problem(key, expected, quoted(text));
        }
        word
    }

    /// Reads a whole number from 0 to 2⁶⁴−1. Its absence makes the shape foreign.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<u64> {
        self.required(key, NUMBER, Absence::Foreign, Value::as_u64)
    }

    /// Reads an optional whole number from 0 to 2⁶⁴−1.
    pub(crate) fn optional_number(&mut self, key: &'static str) -> Option<u64> {
        self.optional(key, "a whole number from 0 to 18446744073709551615 or null", Value::as_u64)
    }

    /// Reads a boolean. Its absence makes the shape foreign.
    pub(crate) fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.required(key, "true or false", Absence::Foreign, Value::as_bool)
    }

    /// Reads a boolean that may be absent, but not null.
    pub(crate) fn optional_bool(&mut self, key: &'static str) -> Option<bool> {
        self.required(key, "true or false", Absence::Null, Value::as_bool)
    }

    /// Reads a time. A form that payloads do not write makes the shape foreign.
    pub(crate) fn time(&mut self, key: &'static str, absence: Absence) -> Option<OffsetDateTime> {
        let text = self.required(key, TIME, absence, Value::as_str)?;
        self.parse_time(key, text, TIME)
    }

    /// Reads a time or null.
    pub(crate) fn optional_time(
        &mut self,
        key: &'static str,
        absence: Absence,
    ) -> Option<OffsetDateTime> {
        const EXPECTED: &str = "a time such as 2012-05-16T15:27:36Z or null";
        if absence == Absence::Invalid {
            self.require_key(key);
        }
        let text = self.optional(key, EXPECTED, Value::as_str)?;
        self.parse_time(key, text, EXPECTED)
    }

    /// Parses a time, which no problem repeats.
    fn parse_time(
        &mut self,
        key: &'static str,
        text: &str,
        expected: &str,
    ) -> Option<OffsetDateTime> {
        let time = parse_time(text);
        if time.is_none() {
            self.problem(key, expected, "a string that is not a time");
        } else if !is_canonical_seconds(text) {
            self.mark_foreign();
        }
        time
    }

    /// Reads an optional IP address. A form that is not canonical makes the shape foreign.
    pub(crate) fn optional_ip(&mut self, key: &'static str) -> Option<IpAddr> {
        const EXPECTED: &str = "an IP address or null";
        let text = self.optional(key, EXPECTED, Value::as_str)?;
        let address: Option<IpAddr> = text.parse().ok();
        match address {
            None => self.problem(key, EXPECTED, "a string that is not an IP address"),
            Some(address) if address.to_string() != text => self.mark_foreign(),
            Some(_) => {}
        }
        address
    }

    /// Reads a required object.
    pub(crate) fn map(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        self.required(key, "an object", Absence::Invalid, Value::as_object).cloned()
    }

    /// Reads an optional object.
    pub(crate) fn optional_map(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        self.optional(key, "an object or null", Value::as_object).cloned()
    }

    /// Reads an object of strings. Its absence, or a null in it, makes the shape foreign.
    pub(crate) fn text_map(&mut self, key: &'static str) -> Option<BTreeMap<String, String>> {
        let map = self.required(key, "an object of strings", Absence::Foreign, Value::as_object)?;
        let mut texts = BTreeMap::new();
        for (name, value) in map {
            match value {
                Value::String(text) => {
                    texts.insert(name.clone(), text.clone());
                }
                Value::Null => self.mark_foreign(),
                other => {
                    let pointer = format!("{}/{}", self.pointer_to(key), escape(name));
                    self.report.problem(pointer, "a string", kind_of(other));
                }
            }
        }
        Some(texts)
    }

    /// Reads a list of strings. Its absence makes the shape foreign.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let list = self.required(key, "a list of strings", Absence::Foreign, Value::as_array)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    let pointer = format!("{}/{index}", self.pointer_to(key));
                    self.report.problem(pointer, "a string", kind_of(other));
                }
            }
        }
        Some(texts)
    }

    /// Reads a key that must be null.
    pub(crate) fn expect_null(&mut self, key: &'static str) {
        match self.take(key) {
            Some(Value::Null) => {}
            Some(other) => self.problem(key, "null", kind_of(other)),
            None => self.problem(key, "null", NOTHING),
        }
    }

    /// Reads a required value of any type.
    pub(crate) fn value(&mut self, key: &'static str, expected: &str) -> Option<&'a Value> {
        self.required(key, expected, Absence::Invalid, Some)
    }

    /// Returns the entries that no method has read.
    pub(crate) fn remaining_entries(&mut self) -> Map<String, Value> {
        self.map
            .iter()
            .filter(|(key, _)| !self.taken.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Returns the keys that no method has read.
    pub(crate) fn remaining_keys(&self) -> impl Iterator<Item = &'a String> {
        self.map.keys().filter(|key| !self.taken.contains(&key.as_str()))
    }

    /// Makes the shape foreign if the object has keys that no method has read.
    pub(crate) fn mark_foreign_if_keys_remain(&mut self) {
        if self.remaining_keys().next().is_some() {
            self.mark_foreign();
        }
    }

    /// Adds a problem at `key`.
    pub(crate) fn problem(&mut self, key: &str, expected: &str, found: impl Into<String>) {
        let pointer = self.pointer_to(&escape(key));
        self.report.problem(pointer, expected, found);
    }

    /// Adds a problem if `key` is absent.
    fn require_key(&mut self, key: &'static str) {
        if !self.map.contains_key(key) {
            self.problem(key, "a value or null", NOTHING);
        }
    }

    /// Returns the value of `key` and marks the key as read.
    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.push(key);
        self.map.get(key)
    }

    /// Reads a value that must not be null, of the type that `as_kind` accepts.
    fn required<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        absence: Absence,
        as_kind: fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.take(key) else {
            match absence {
                Absence::Null => {}
                Absence::Foreign => self.mark_foreign(),
                Absence::Invalid => self.problem(key, expected, NOTHING),
            }
            return None;
        };
        let taken = as_kind(value);
        if taken.is_none() {
            self.problem(key, expected, kind_of(value));
        }
        taken
    }

    /// Reads a value that may be null or absent, of the type that `as_kind` accepts.
    fn optional<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        as_kind: fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        match self.map.get(key) {
            Some(Value::Null) => {
                self.taken.push(key);
                None
            }
            _ => self.required(key, expected, Absence::Null, as_kind),
        }
    }

    /// Returns the JSON pointer to `key`, which is escaped already.
    fn pointer_to(&self, key: &str) -> String {
        format!("{}/{key}", self.pointer)
    }
}

/// Parses a UUID with dashes. The shorter and longer forms that the crate `uuid` accepts are wrong here.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}

/// Lists the words of a vocabulary for a problem.
fn vocabulary<T: AsWord>(all: &[T]) -> String {
    one_of(&all.iter().map(AsWord::as_word).collect::<Vec<_>>())
}

const NUMBER: &str = "a whole number from 0 to 18446744073709551615";
const TIME: &str = "a time such as 2012-05-16T15:27:36Z";
