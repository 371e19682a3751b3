//! Opening a transport by name: what a strategy is called, and the options it was configured with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::text::printable;
use crate::{Error, ErrorKind, Result, Transport};

/// A strategy that can be configured: one `const` in each transport's crate.
///
/// The facade holds the table of those that are compiled in. There is no registry and no start-up
/// order.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// The strategy's name: also its Cargo feature, its table in the configuration and the end of its
    /// crate's name.
    pub name: &'static str,
    /// Other names that are accepted for it.
    pub aliases: &'static [&'static str],
    /// Opens the transport. Touches nothing outside the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when an option is unknown, missing or of the wrong kind.
    pub open: fn(Options) -> Result<Box<dyn Transport>>,
}

/// The table of one strategy, as it was configured, and where each of its keys came from.
#[derive(Clone, Default)]
pub struct Options {
    prefix: &'static str,
    table: Map<String, Value>,
    origins: BTreeMap<String, Origin>,
    publisher_id: Option<Arc<str>>,
}

/// Where a configured value came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The place in words: `notify.toml`, `--set`, an environment variable's name.
    pub place: String,
    /// The text as it was given, where a value was not written in a typed language: used again as a
    /// string when that is what was expected. A password may consist of digits.
    pub raw: Option<String>,
}

impl Options {
    /// The table of the strategy called `prefix`.
    pub fn new(prefix: &'static str, table: Map<String, Value>) -> Self {
        Self { prefix, table, ..Self::default() }
    }

    /// The same options, knowing where each key (`sync`, `tls.ca_file`) came from.
    #[must_use]
    pub fn with_origins(mut self, origins: BTreeMap<String, Origin>) -> Self {
        self.origins = origins;
        self
    }

    /// The same options, knowing who will publish.
    #[must_use]
    pub fn with_publisher_id(mut self, publisher_id: impl Into<Arc<str>>) -> Self {
        self.publisher_id = Some(publisher_id.into());
        self
    }

    /// Who will publish, for names that a destination shows to its operator.
    pub fn publisher_id(&self) -> Option<&str> {
        self.publisher_id.as_deref()
    }

    /// The options as the strategy's own type, which should refuse unknown fields.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with the key, where it was set, and what was expected.
    pub fn parse<T: DeserializeOwned>(mut self) -> Result<T> {
        loop {
            let error = match serde_path_to_error::deserialize(Value::Object(self.table.clone())) {
                Ok(options) => return Ok(options),
                Err(error) => error,
            };
            let path = error.path().to_string();
            let raw = self.origins.get_mut(&path).and_then(|origin| origin.raw.take());
            match (lookup(&mut self.table, &path), raw) {
                (Some(value), Some(raw)) if !value.is_string() => *value = Value::String(raw),
                _ => return Err(self.refusal(&path, &error.into_inner())),
            }
        }
    }

    fn refusal(&self, path: &str, error: &serde_json::Error) -> Error {
        let key = match (self.prefix, path) {
            ("", path) => path.to_owned(),
            (prefix, ".") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        let place = match self.origins.get(path) {
            Some(origin) => format!(" ({})", origin.place),
            None => String::new(),
        };
        Error::new(
            ErrorKind::Config,
            format!("`{key}`{place}: {}", printable(&error.to_string(), 512)),
        )
    }
}

impl fmt::Debug for Options {
    /// Names the keys, shows no value: any of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("prefix", &self.prefix)
            .field("keys", &self.table.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("place", &self.place).finish_non_exhaustive()
    }
}

fn lookup<'a>(table: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    let mut keys = path.split('.');
    let mut value = table.get_mut(keys.next()?)?;
    for key in keys {
        value = value.get_mut(key)?;
    }
    Some(value)
}
