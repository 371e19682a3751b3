//! Values that are a text on the wire.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text without a character to escape and without a URL: an id, a time or a word.
///
/// The encoder copies it without a look at its bytes. Other serializers see a string.
pub(crate) struct PlainText<'a>(pub(crate) &'a str);

impl PlainText<'_> {
    /// The name by which the encoder knows a plain text.
    pub(super) const NAME: &'static str = "PlainText";
}

impl Serialize for PlainText<'_> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(Self::NAME, self.0)
    }
}

/// Serializes an id as a [`PlainText`], for `serialize_with`.
pub(crate) fn serialize_id<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    PlainText(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).serialize(serializer)
}

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
