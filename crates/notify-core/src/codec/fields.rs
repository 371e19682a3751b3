//! Reading a payload: liberal in shape, exact in kind, and telling every problem at its pointer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::problem::{NOTHING, Problem, escape};
use super::timestamp::{is_canonical_seconds, parse_time};
use crate::event::words::{AsWord, one_of};
use crate::redact::quote::quoted;

/// What reading has come upon so far.
#[derive(Debug, Default)]
pub(crate) struct ReadReport {
    pub(crate) problems: Vec<Problem>,
    /// Whether something well-formed was seen that the typed form cannot hold, or would write
    /// differently.
    pub(crate) foreign: bool,
}

impl ReadReport {
    pub(crate) fn problem(&mut self, pointer: String, expected: &str, found: impl Into<String>) {
        self.problems.push(Problem { pointer, expected: expected.to_owned(), found: found.into() });
    }
}

/// What it means that a key is absent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The same as null.
    Null,
    /// A shape other than the documented one.
    Foreign,
    /// A problem.
    Invalid,
}

/// The keys of one object, taken one by one.
pub(crate) struct Fields<'a, 'r> {
    map: &'a Map<String, Value>,
    pointer: &'static str,
    taken: Vec<&'static str>,
    report: &'r mut ReadReport,
}

impl<'a, 'r> Fields<'a, 'r> {
    pub(crate) fn new(
        map: &'a Map<String, Value>,
        pointer: &'static str,
        report: &'r mut ReadReport,
    ) -> Self {
        Self { map, pointer, taken: Vec::new(), report }
    }

    /// Notes that the typed form would not write this object as it was read.
    pub(crate) fn foreign(&mut self) {
        self.report.foreign = true;
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// An id; required.
    pub(crate) fn uuid(&mut self, key: &'static str) -> Option<Uuid> {
        const EXPECTED: &str = "a UUID with dashes";
        let text = self.required(key, EXPECTED, Absence::Invalid, Value::as_str)?;
        let Some(id) = parse_uuid(text) else {
            self.problem(key, EXPECTED, quoted(text));
            return None;
        };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.foreign();
        }
        Some(id)
    }

    /// A text; required.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.required(key, "a string", Absence::Invalid, Value::as_str).map(str::to_owned)
    }

    /// A text, or null, or nothing.
    pub(crate) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        self.optional(key, "a string or null", Value::as_str).map(str::to_owned)
    }

    /// Takes with `take` what may be null but must not be absent.
    pub(crate) fn nullable<T>(
        &mut self,
        key: &'static str,
        take: fn(&mut Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        self.present(key);
        take(self, key)
    }

    /// A word of a closed vocabulary; required.
    pub(crate) fn word<T: FromStr + AsWord>(&mut self, key: &'static str, all: &[T]) -> Option<T> {
        let expected = vocabulary(all);
        let text = self.required(key, &expected, Absence::Invalid, Value::as_str)?;
        self.parse_word(key, text, &expected)
    }

    /// A word of a closed vocabulary, or nothing.
    pub(crate) fn optional_word<T: FromStr + AsWord>(
        &mut self,
        key: &'static str,
        all: &[T],
    ) -> Option<T> {
        let expected = vocabulary(all);
        let text = self.required(key, &expected, Absence::Null, Value::as_str)?;
        self.parse_word(key, text, &expected)
    }

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

    /// A whole number from 0 to 2⁶⁴−1, or absent in a foreign shape.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<u64> {
        self.required(key, NUMBER, Absence::Foreign, Value::as_u64)
    }

    /// A whole number from 0 to 2⁶⁴−1, or null, or nothing.
    pub(crate) fn optional_number(&mut self, key: &'static str) -> Option<u64> {
        self.optional(key, "a whole number from 0 to 18446744073709551615 or null", Value::as_u64)
    }

    /// True or false, or absent in a foreign shape.
    pub(crate) fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.required(key, "true or false", Absence::Foreign, Value::as_bool)
    }

    /// True or false, or nothing.
    pub(crate) fn optional_bool(&mut self, key: &'static str) -> Option<bool> {
        self.required(key, "true or false", Absence::Null, Value::as_bool)
    }

    /// A time.
    pub(crate) fn time(&mut self, key: &'static str, absence: Absence) -> Option<OffsetDateTime> {
        let text = self.required(key, TIME, absence, Value::as_str)?;
        self.parse_time(key, text, TIME)
    }

    /// A time, or null.
    pub(crate) fn optional_time(
        &mut self,
        key: &'static str,
        absence: Absence,
    ) -> Option<OffsetDateTime> {
        const EXPECTED: &str = "a time such as 2012-05-16T15:27:36Z or null";
        if absence == Absence::Invalid {
            self.present(key);
        }
        let text = self.optional(key, EXPECTED, Value::as_str)?;
        self.parse_time(key, text, EXPECTED)
    }

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
            self.foreign();
        }
        time
    }

    /// An IP address, or null, or nothing.
    pub(crate) fn optional_ip(&mut self, key: &'static str) -> Option<IpAddr> {
        const EXPECTED: &str = "an IP address or null";
        let text = self.optional(key, EXPECTED, Value::as_str)?;
        let address: Option<IpAddr> = text.parse().ok();
        match address {
            None => self.problem(key, EXPECTED, "a string that is not an IP address"),
            Some(address) if address.to_string() != text => self.foreign(),
            Some(_) => {}
        }
        address
    }

    /// An object; required.
    pub(crate) fn map(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        self.required(key, "an object", Absence::Invalid, Value::as_object).cloned()
    }

    /// An object, or null, or nothing.
    pub(crate) fn optional_map(&mut self, key: &'static str) -> Option<Map<String, Value>> {
        self.optional(key, "an object or null", Value::as_object).cloned()
    }

    /// An object of strings, or absent in a foreign shape.
    pub(crate) fn text_map(&mut self, key: &'static str) -> Option<BTreeMap<String, String>> {
        let map = self.required(key, "an object of strings", Absence::Foreign, Value::as_object)?;
        let mut texts = BTreeMap::new();
        for (name, value) in map {
            match value {
                Value::String(text) => {
                    texts.insert(name.clone(), text.clone());
                }
                Value::Null => self.foreign(),
                other => {
                    let pointer = format!("{}/{}", self.at(key), escape(name));
                    self.report.problem(pointer, "a string", kind_of(other));
                }
            }
        }
        Some(texts)
    }

    /// A list of strings, or absent in a foreign shape.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let list = self.required(key, "a list of strings", Absence::Foreign, Value::as_array)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    let pointer = format!("{}/{index}", self.at(key));
                    self.report.problem(pointer, "a string", kind_of(other));
                }
            }
        }
        Some(texts)
    }

    /// Null and nothing else.
    pub(crate) fn null(&mut self, key: &'static str) {
        match self.take(key) {
            Some(Value::Null) => {}
            Some(other) => self.problem(key, "null", kind_of(other)),
            None => self.problem(key, "null", NOTHING),
        }
    }

    /// Any value; required.
    pub(crate) fn any(&mut self, key: &'static str, expected: &str) -> Option<&'a Value> {
        self.required(key, expected, Absence::Invalid, Some)
    }

    /// What was not taken.
    pub(crate) fn rest(&mut self) -> Map<String, Value> {
        self.map
            .iter()
            .filter(|(key, _)| !self.taken.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// The keys that were not taken.
    pub(crate) fn untaken(&self) -> impl Iterator<Item = &'a String> {
        self.map.keys().filter(|key| !self.taken.contains(&key.as_str()))
    }

    /// Nothing is left, or the shape is foreign.
    pub(crate) fn no_rest(&mut self) {
        if self.untaken().next().is_some() {
            self.foreign();
        }
    }

    pub(crate) fn problem(&mut self, key: &str, expected: &str, found: impl Into<String>) {
        let pointer = self.at(&escape(key));
        self.report.problem(pointer, expected, found);
    }

    fn present(&mut self, key: &'static str) {
        if !self.map.contains_key(key) {
            self.problem(key, "a value or null", NOTHING);
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.taken.push(key);
        self.map.get(key)
    }

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
                Absence::Foreign => self.foreign(),
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

    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.pointer)
    }
}

/// The kind of a value, as a problem names it.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_u64() => "a whole number",
        Value::Number(number) if number.is_i64() => "a negative number",
        Value::Number(_) => "a floating-point number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A UUID in its one canonical form: with dashes, nothing around it.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() == uuid::fmt::Hyphenated::LENGTH { Uuid::try_parse(text).ok() } else { None }
}

fn vocabulary<T: AsWord>(all: &[T]) -> String {
    one_of(&all.iter().map(AsWord::as_word).collect::<Vec<_>>())
}

const NUMBER: &str = "a whole number from 0 to 18446744073709551615";
const TIME: &str = "a time such as 2012-05-16T15:27:36Z";
