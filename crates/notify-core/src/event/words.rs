//! Closed vocabularies: enums whose every value is one word on the wire.
//!
//! An enum here has no data and no unknown value. It reads the words that it writes, and in another case
//! only if its declaration says so.

/// Declares an enum of words with `ALL`, `as_str`, `FromStr`, `Display`, serde and JSON Schema.
///
/// The literal after `as` is the noun that errors use: "unknown priority". The name after `or` is a
/// method of `str` that compares a word in another way.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident as $noun:literal $(or $equals:ident)? { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All values, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            /// Parses the word as it is on the wire.
            ///
            /// # Errors
            ///
            /// Returns an error of the kind `Invalid` that lists the known words.
            fn from_str(word: &str) -> crate::error::Result<Self> {
                let is_it = |known: &str| known == word $(|| known.$equals(word))?;
                $(if is_it($word) { return Ok(Self::$variant); })+
                Err(crate::event::words::unknown($noun, word, &[$($word),+]))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_unit_variant(stringify!($name), *self as u32, self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::codec::wire_text::from_text(deserializer, str::parse)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

pub(crate) use words;

/// Lists `words` for an error message: `"a", "b" or "c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let (last, rest) = words.split_last().unwrap_or((&"", &[]));
    if rest.is_empty() {
        return format!("\"{last}\"");
    }
    let rest: Vec<_> = rest.iter().map(|word| format!("\"{word}\"")).collect();
    format!("{} or \"{last}\"", rest.join(", "))
}

/// Creates the error of a word that no value of a vocabulary has.
pub(crate) fn unknown(noun: &str, word: &str, words: &[&str]) -> crate::error::Error {
    crate::error::Error::new(
        crate::error::ErrorKind::Invalid,
        format!(
            "unknown {noun} {}, expected {}",
            crate::redact::quote::quoted(word),
            one_of(words)
        ),
    )
}
