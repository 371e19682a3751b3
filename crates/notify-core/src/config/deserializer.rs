//! A serde deserializer for configured values, whose errors never repeat a value.
//!
//! serde's own errors quote the value (`invalid type: string "hunter2", expected u16`). In a
//! configuration that value may be a password, so the errors here name its type instead. They also
//! use the words of a configuration rather than those of Rust: "a table", not "struct `TlsOptions`".

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::origin::Origins;
use crate::event::words::one_of;
use crate::redact::printable::printable;

/// Deserializes `table` into a `T`.
///
/// # Errors
///
/// Returns the first error with the dotted path of the value or key that it is about.
pub(crate) fn parse<T: DeserializeOwned>(
    table: &Map<String, Value>,
    origins: &Origins,
) -> Result<T, ValueError> {
    T::deserialize(TableDeserializer { entries: table.iter(), value: None, path: "", origins })
}

/// The error of a value that does not fit its option, with the path of that value.
#[derive(Debug)]
pub(crate) struct ValueError {
    text: String,
    /// The dotted path of the value; `None` until a deserializer on the way out adds it.
    path: Option<String>,
    /// The required key that the table at `path` lacks.
    missing: Option<&'static str>,
}

impl ValueError {
    fn new(text: String) -> Self {
        Self { text, path: None, missing: None }
    }

    /// Adds `path`, unless a deserializer further inside has added a longer one already.
    fn at(mut self, path: &str) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Returns the dotted path of the value or the missing key; empty for the whole table.
    pub(crate) fn path(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        self.missing.map_or_else(|| path.to_owned(), |key| join(path, key))
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ValueError {}

/// Builds each error from types and known words. No value gets in, not even an unknown word: it may be a
/// password at the wrong key.
impl de::Error for ValueError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(printable(&text.to_string(), 512).to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", in_words(expected), kind_of(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Signed(number) if number < 0 => "a negative number",
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => {
                "a number out of range"
            }
            Unexpected::Char(_) | Unexpected::Str(_) => "another string",
            _ => "another value",
        };
        Self::new(format!("expected {}, found {found}", in_words(expected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {length} elements", in_words(expected)))
    }

    fn unknown_variant(_: &str, words: &'static [&'static str]) -> Self {
        Self::new(format!("unknown value, expected {}", one_of(words)))
    }

    fn unknown_field(_: &str, keys: &'static [&'static str]) -> Self {
        Self::new(match keys {
            [] => "unknown option, this table takes none".to_owned(),
            keys => format!("unknown option, expected {}", one_of(keys)),
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self { missing: Some(key), ..Self::new("this option is required".to_owned()) }
    }
}

/// Deserializes one value at a known path.
struct ValueDeserializer<'a> {
    value: &'a Value,
    path: String,
    origins: &'a Origins,
}

impl ValueDeserializer<'_> {
    /// Returns the text that the user typed, if an untyped place turned it into another type.
    ///
    /// See [`Origin::raw`](super::origin::Origin::raw).
    fn raw(&self) -> Option<&str> {
        if self.value.is_string() { None } else { self.origins.get(&self.path)?.raw.as_deref() }
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let Self { value, path, origins } = self;
        let result = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(ListDeserializer {
                items: items.iter().enumerate(),
                path: &path,
                origins,
            }),
            Value::Object(table) => visitor.visit_map(TableDeserializer {
                entries: table.iter(),
                value: None,
                path: &path,
                origins,
            }),
        };
        result.map_err(|error| error.at(&path))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.raw() {
            Some(raw) => visitor.visit_str(raw).map_err(|error: ValueError| error.at(&self.path)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    /// Reads a word. No enum of a configuration carries data.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        let result = match self.value.as_str().or(self.raw()) {
            Some(word) => {
                visitor.visit_enum(IntoDeserializer::<ValueError>::into_deserializer(word))
            }
            None => Err(de::Error::invalid_type(unexpected(self.value), &"a string")),
        };
        result.map_err(|error| error.at(&self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Deserializes a table, and iterates over its entries.
struct TableDeserializer<'a> {
    entries: serde_json::map::Iter<'a>,
    /// The value of the key that serde has just read.
    value: Option<ValueDeserializer<'a>>,
    path: &'a str,
    origins: &'a Origins,
}

impl<'de> Deserializer<'de> for TableDeserializer<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de> MapAccess<'de> for TableDeserializer<'_> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        let path = join(self.path, key);
        let name: StrDeserializer<'_, ValueError> = key.as_str().into_deserializer();
        let key = seed.deserialize(name).map_err(|error| error.at(&path))?;
        self.value = Some(ValueDeserializer { value, path, origins: self.origins });
        Ok(Some(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        match self.value.take() {
            Some(node) => {
                let path = node.path.clone();
                seed.deserialize(node).map_err(|error| error.at(&path))
            }
            None => Err(ValueError::new("missing, expected a value".to_owned())),
        }
    }
}

/// Iterates over the items of a list.
struct ListDeserializer<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
    path: &'a str,
    origins: &'a Origins,
}

impl<'de> SeqAccess<'de> for ListDeserializer<'_> {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{index}]", self.path);
        seed.deserialize(ValueDeserializer { value, path, origins: self.origins }).map(Some)
    }
}

/// Appends `key` to a dotted path.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Returns serde's description of a value.
fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Unexpected::Unsigned(number),
            (None, Some(number)) => Unexpected::Signed(number),
            (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

/// Returns the type of a value in the words of a configuration.
fn kind_of(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Signed(number) if number < 0 => "a negative number",
        Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a whole number",
        Unexpected::Float(_) => "a floating-point number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "another kind of value",
    }
}

/// Returns the expectation of a Rust type in the words of a configuration.
fn in_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let up_to = |max: &dyn fmt::Display| format!("a whole number from 0 to {max}");
    match expected.as_str() {
        "u8" => up_to(&u8::MAX),
        "u16" => up_to(&u16::MAX),
        "u32" => up_to(&u32::MAX),
        "u64" | "usize" => up_to(&u64::MAX),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        name if name.starts_with("struct ") => "a table".to_owned(),
        _ => expected,
    }
}
