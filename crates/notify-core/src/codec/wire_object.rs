//! The macro `wire!`: an object of fixed keys on the wire, declared once.
//!
//! One declaration gives the struct, its writer and its JSON Schema, so the three cannot disagree.

/// An object of fixed keys.
pub(crate) trait ObjectKeys {
    /// The names of the fields, in the order on the wire.
    const KEYS: &'static [&'static str];
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

/// Declares an object on the wire: its fields in order, each of a type that implements `WriteJson`.
///
/// `key = "word": type` writes the field under another key. `..rest` adds the entries of a tree, except
/// those whose keys are fields.
macro_rules! wire {
    (
        $(#[$meta:meta])*
        struct $name:ident<'a> as $title:literal {
            $($key:ident $(= $word:literal)?: $type:ty,)+
            $(..$rest:ident: $rest_type:ty,)?
        }
    ) => {
        $(#[$meta])*
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(rename = $title))]
        pub(crate) struct $name<'a> {
            $($(#[cfg_attr(feature = "schema", schemars(rename = $word))])? $key: $type,)+
            $(#[cfg_attr(feature = "schema", schemars(flatten))] $rest: $rest_type,)?
        }

        impl crate::codec::wire_object::ObjectKeys for $name<'_> {
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];
        }

        impl crate::codec::json_writer::WriteJson for $name<'_> {
            fn write(&self, w: &mut crate::codec::json_writer::JsonWriter) {
                w.object(|w| {
                    $(
                        w.raw(crate::codec::wire_object::wire!(@key $key $($word)?));
                        self.$key.write(w);
                    )+
                    $(self.$rest.write_entries(w, <Self as crate::codec::wire_object::ObjectKeys>::KEYS);)?
                });
            }
        }
    };
    (@key $key:ident) => { concat!(",\"", stringify!($key), "\":") };
    (@key $key:ident $word:literal) => { concat!(",\"", $word, "\":") };
}

pub(crate) use wire;
