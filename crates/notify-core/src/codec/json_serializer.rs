//! [`JsonWriter`] as a serializer of serde, for payloads that a program constructed.
//!
//! It passes every value on and decides nothing. It is not `serde_json`'s serializer, which looks at each
//! byte of each string: `docs/decisions.md` has the measurements.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::Number;

use super::json_tokens::UnescapedText;
use super::json_writer::{JsonWriter, StringRole};
use super::wire_text::PlainText;
use crate::error::{Error, ErrorKind};

/// The error of a value that cannot be written.
#[derive(Debug)]
pub(crate) struct WriteError(pub(crate) Error);

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Error::new(ErrorKind::Invalid, message.to_string()))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WriteError {}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

type Result<T = (), E = WriteError> = std::result::Result<T, E>;

impl JsonWriter {
    /// Begins an entry whose key is not known.
    #[inline(never)]
    fn unescaped_key(&mut self, key: &str) -> Result {
        Ok(self.key(&UnescapedText { text: key.into(), has_surrogates: false })?)
    }
}

/// Returns the error of a value that no payload holds.
fn unsupported<T>() -> Result<T> {
    Err(ser::Error::custom("a payload cannot hold this kind of value"))
}

/// Declares the methods that write an integer.
macro_rules! integers {
    ($($method:ident: $type:ty,)+) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result {
            self.scalar(itoa::Buffer::new().format(value));
            Ok(())
        }
    )+};
}

impl<'a> Serializer for &'a mut JsonWriter {
    type Ok = ();
    type Error = WriteError;
    type SerializeSeq = Self;
    type SerializeTuple = Impossible<(), WriteError>;
    type SerializeTupleStruct = Impossible<(), WriteError>;
    type SerializeTupleVariant = Impossible<(), WriteError>;
    type SerializeMap = Self;
    type SerializeStruct = StructWriter<'a>;
    type SerializeStructVariant = Impossible<(), WriteError>;

    integers! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
    }

    fn serialize_bool(self, value: bool) -> Result {
        self.scalar(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result {
        self.serialize_f64(value.into())
    }

    /// Writes null for infinity and for a value that is no number, as `serde_json` does.
    fn serialize_f64(self, value: f64) -> Result {
        match Number::from_f64(value) {
            Some(number) => self.scalar(&number.to_string()),
            None => self.null(),
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result {
        match std::mem::take(&mut self.next_string) {
            StringRole::Text => self.text(value, false),
            StringRole::PlainText => self.plain_text(value),
            StringRole::Number => self.scalar(value),
            StringRole::Key => self.unescaped_key(value)?,
        }
        Ok(())
    }

    /// Writes a JSON text: a payload as it was read.
    fn serialize_bytes(self, json: &[u8]) -> Result {
        Ok(self.json(std::str::from_utf8(json).unwrap_or_default())?)
    }

    fn serialize_none(self) -> Result {
        self.null();
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.plain_text(variant);
        Ok(())
    }

    /// Looks for nothing to escape in a [`PlainText`].
    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        if name == PlainText::NAME {
            self.next_string = StringRole::PlainText;
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result {
        unsupported()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self> {
        self.open(false)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        unsupported()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct> {
        unsupported()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        unsupported()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self> {
        self.open(true)?;
        Ok(self)
    }

    /// Writes a number of `serde_json` as a number, also if it hands over its digits.
    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<StructWriter<'a>> {
        let is_number = name == NUMBER;
        if is_number {
            self.next_string = StringRole::Number;
        } else {
            self.open(true)?;
        }
        Ok(StructWriter { writer: self, is_number })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        unsupported()
    }
}

impl SerializeSeq for &mut JsonWriter {
    type Ok = ();
    type Error = WriteError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result {
        self.close(false);
        Ok(())
    }
}

impl SerializeMap for &mut JsonWriter {
    type Ok = ();
    type Error = WriteError;

    #[inline]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result {
        self.next_string = StringRole::Key;
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result {
        self.close(true);
        Ok(())
    }
}

/// The writer of one struct.
pub(crate) struct StructWriter<'a> {
    writer: &'a mut JsonWriter,
    /// Whether the struct stands for a number, whose digits are its only field.
    is_number: bool,
}

impl SerializeStruct for StructWriter<'_> {
    type Ok = ();
    type Error = WriteError;

    #[expect(
        clippy::inline_always,
        reason = "a constant key then has a length known at compile time"
    )]
    #[inline(always)]
    fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Result {
        if !self.is_number {
            self.writer.known_key(key)?;
        }
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn end(self) -> Result {
        if !self.is_number {
            self.writer.close(true);
        }
        Ok(())
    }
}

/// The name of the struct as which `serde_json` hands over a number if any crate of the program enables its
/// feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json_writer::redacted_json;

    /// A number as `serde_json` hands it over with the feature `arbitrary_precision`.
    struct DigitsOfNumber(&'static str);

    impl Serialize for DigitsOfNumber {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut number = serializer.serialize_struct(NUMBER, 1)?;
            number.serialize_field(NUMBER, self.0)?;
            number.end()
        }
    }

    /// A struct with numbers.
    #[derive(Serialize)]
    struct Volume {
        size: DigitsOfNumber,
        sizes: Vec<DigitsOfNumber>,
        name: &'static str,
    }

    /// The features that other crates enable for `serde_json` change nothing.
    #[test]
    fn numbers_of_arbitrary_precision_are_numbers() {
        let [size, one, two] = ["12345678901234567890.50", "1e2", "-0"].map(DigitsOfNumber);
        let volume = Volume { size, sizes: vec![one, two], name: "7" };
        let json = r#"{"size":12345678901234567890.50,"sizes":[1e2,-0],"name":"7"}"#;
        assert_eq!(redacted_json(&volume), json);
    }
}
