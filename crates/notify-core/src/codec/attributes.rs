//! The attributes of a notification as they are in a text, read one by one.
//!
//! Reading goes on after a problem, so that it reports all of them.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::json_parser::parse_object;
use super::json_tokens::JsonText;
use super::limits::SizeLimits;
use super::log_prefix::LOGGER;
use super::problem::{NOTHING, ONLY_ATTRIBUTES, Problem, Problems, UNREADABLE, escape, kind_of};
use crate::error::ErrorKind;
use crate::redact::quote::{backquoted, quoted};

/// The attributes of a notification, or of an envelope around it.
pub(super) struct Attributes<'a> {
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
    problems: Vec<Problem>,
}

impl<'a> Attributes<'a> {
    /// Parses the object at `range` of a line within `limits`. The caller checks its size.
    ///
    /// # Errors
    ///
    /// Returns the problem of a text that is no object or exceeds a limit.
    pub(super) fn parse(
        line: &'a [u8],
        range: Range<usize>,
        limits: &SizeLimits,
    ) -> Result<Self, Problems> {
        Ok(Self { entries: parse_object(line, range, limits)?, problems: Vec::new() })
    }

    /// Returns the text of the notification in oslo's envelope 2.0, or in a record of oslo.log's JSON
    /// format.
    ///
    /// Returns `None` if the object is neither.
    ///
    /// # Errors
    ///
    /// Returns the problem of an envelope of another version, or whose message is not a string.
    pub(super) fn oslo_message(&self) -> Result<Option<Cow<'a, str>>, Problem> {
        const MESSAGE: &str = "a notification as a JSON string";
        const VERSION: &str = "the envelope version \"2.0\"";
        let record = self.get("name").and_then(JsonText::of_value).map(JsonText::unescape);
        if record.is_some_and(|name| name.text.starts_with(LOGGER)) && self.has("message") {
            return self.text("message", || MESSAGE.into()).map(Some);
        }
        if !self.has("oslo.version") && !self.has("oslo.message") {
            return Ok(None);
        }
        let version = self.text("oslo.version", || VERSION.into())?;
        if version != "2.0" {
            return Err(Problem::new("/oslo.version", VERSION, quoted(&version)));
        }
        self.text("oslo.message", || MESSAGE.into()).map(Some)
    }

    /// Returns `true` if the attribute exists.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns `true` if the attribute exists and is not null.
    pub(super) fn has_value(&self, key: &str) -> bool {
        self.get(key).is_some_and(|json| json != "null")
    }

    /// Returns an attribute that is a string of whole characters, and passes over any other.
    pub(super) fn valid_text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.text(key, String::new).ok()
    }

    /// Reads an attribute of any type.
    pub(super) fn value(&mut self, key: &str, expected: &str) -> Option<&'a RawValue> {
        let value = self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        if value.is_none() {
            self.problems.push(Problem::new(format!("/{key}"), expected, NOTHING));
        }
        value
    }

    /// Reads an attribute that is a string, with `parse`.
    ///
    /// `describe` describes a string that does not parse: [`quoted`] repeats it. Use that only for ids and
    /// for words of a vocabulary.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        expected: impl Fn() -> String,
        parse: impl FnOnce(&str) -> Option<T>,
        describe: fn(&str) -> String,
    ) -> Option<T> {
        let parsed = self.text(key, &expected).and_then(|text| {
            parse(&text).ok_or_else(|| Problem::new(format!("/{key}"), expected(), describe(&text)))
        });
        parsed.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Returns the `input` that was read, with a warning for each attribute that is not in `known`.
    ///
    /// The caller must have looked for each of `known`.
    ///
    /// # Errors
    ///
    /// Returns all problems of reading, and the warnings as further ones.
    pub(super) fn finish<T>(
        self,
        known: &[&str],
        input: impl FnOnce() -> Option<T>,
    ) -> Result<(T, Vec<Problem>), Problems> {
        let (mut problems, warnings) = self.into_problems(known);
        match input() {
            Some(input) if problems.is_empty() => Ok((input, warnings)),
            _ => {
                problems.extend(warnings);
                Err(Problems::new(ErrorKind::Invalid, problems))
            }
        }
    }

    /// Returns the problems of reading, and one for each attribute that is not in `known`.
    ///
    /// Attributes that begin with `_` belong to oslo.messaging.
    fn into_problems(self, known: &[&str]) -> (Vec<Problem>, Vec<Problem>) {
        // No key is there twice. Without a problem each known one is there, so there is no other.
        if self.problems.is_empty() && self.entries.len() == known.len() {
            return Default::default();
        }
        let unknown = |key: &str| !key.starts_with('_') && !known.contains(&key);
        let unknown = self.entries.iter().filter(|(key, _)| unknown(key)).map(|(key, _)| {
            let found = format!("unknown attribute {}", backquoted(key));
            Problem::new(format!("/{}", escape(key)), ONLY_ATTRIBUTES, found)
        });
        (self.problems, unknown.collect())
    }

    /// Returns the JSON text of an attribute.
    fn get(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// Returns an attribute that is a string.
    fn text(&self, key: &str, expected: impl Fn() -> String) -> Result<Cow<'a, str>, Problem> {
        let json = self.get(key);
        let Some(text) = json.and_then(JsonText::of_value).map(JsonText::unescape) else {
            let found = json.map_or(NOTHING, kind_of);
            return Err(Problem::new(format!("/{key}"), expected(), found));
        };
        if text.has_surrogates {
            let expected = "a text of whole characters";
            return Err(Problem::new(format!("/{key}"), expected, UNREADABLE));
        }
        Ok(text.text)
    }
}
