//! Values that are a text on the wire.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Deserializes a value from its text with `parse`, without a copy of the text.
pub(crate) fn from_text<'de, D, T, E, P>(deserializer: D, parse: P) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: fmt::Display,
    P: FnOnce(&str) -> Result<T, E>,
{
    deserializer.deserialize_str(TextVisitor(parse, PhantomData))
}

/// A visitor that parses a text.
struct TextVisitor<P, T>(P, PhantomData<T>);

impl<T, E: fmt::Display, P: FnOnce(&str) -> Result<T, E>> Visitor<'_> for TextVisitor<P, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<D: Error>(self, text: &str) -> Result<T, D> {
        (self.0)(text).map_err(D::custom)
    }
}
