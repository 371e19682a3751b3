//! Closed vocabularies: an enum whose every value is one word on the wire.

/// Declares an enum and everything its words need: `ALL`, `as_str`, `FromStr`, `Display`, serde and
/// JSON Schema.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident as $noun:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the specification's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl crate::event::words::AsWord for $name {
            fn as_word(&self) -> &'static str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Error;

            /// Reads the word exactly as it is written on the wire.
            fn from_str(word: &str) -> crate::error::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(crate::event::words::unknown($noun, word, &[$($word),+])),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl crate::codec::json_writer::WriteJson for $name {
            fn write(&self, w: &mut crate::codec::json_writer::JsonWriter) {
                w.raw("\"");
                w.raw(self.as_str());
                w.raw("\"");
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
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

/// A value of a closed vocabulary.
pub(crate) trait AsWord {
    fn as_word(&self) -> &'static str;
}

/// `words` as an error message lists them: `"a", "b" or "c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let (last, rest) = words.split_last().unwrap_or((&"", &[]));
    if rest.is_empty() {
        return format!("\"{last}\"");
    }
    let rest: Vec<_> = rest.iter().map(|word| format!("\"{word}\"")).collect();
    format!("{} or \"{last}\"", rest.join(", "))
}

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
