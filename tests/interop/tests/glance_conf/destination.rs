//! Our resolution of files, in the form in which the Python program reports OpenStack's.

use std::collections::BTreeMap;
use std::path::Path;

use glance_notify::config::{Config, Layers};
use glance_notify::transport::{qpid, rabbit};
use glance_notify::{Error, Result};
use serde_json::{Value, json};

/// A destination, field by field. Absent fields do not apply to the strategy.
pub(crate) type Destination = BTreeMap<String, Value>;

/// Our reading of files: the destination or the refusal, and the warnings.
pub(crate) struct FileReport {
    pub(crate) destination: Result<Destination, Error>,
    pub(crate) warnings: Vec<String>,
}

impl FileReport {
    /// Reads the files as `glance-notify -c FILE -c FILE` does.
    pub(crate) fn of(files: &[&Path]) -> Self {
        let layers = files.iter().try_fold(Layers::new(), Layers::file);
        match layers.and_then(Layers::build) {
            Ok(config) => {
                Self { warnings: config.warnings().to_vec(), destination: destination(&config) }
            }
            Err(error) => Self { warnings: Vec::new(), destination: Err(error) },
        }
    }
}

/// Returns the destination of a configuration that opens.
///
/// Several destinations are one: a broker with all their topics, beside other strategies.
fn destination(config: &Config) -> Result<Destination> {
    let mut destinations =
        config.destinations().into_iter().map(|one| one_destination(one.config()));
    let mut merged = destinations.next().unwrap()?;
    for other in destinations {
        for (field, value) in other? {
            let known = merged.entry(field).or_insert(Value::Null);
            *known = match (known.take(), value) {
                (Value::Null, value) => value,
                (Value::Array(known), Value::Array(more)) if known != more => {
                    known.into_iter().chain(more).collect()
                }
                (known, value) if known == value => known,
                (known, value) => json!([known, value]),
            };
        }
    }
    Ok(merged)
}

/// Returns the configured value of a key, or null.
fn entry(config: &Config, key: &str) -> Value {
    let entries = config.entries();
    let entry = entries.iter().find(|entry| entry.key == key && entry.origin != "default");
    entry.map_or(Value::Null, |entry| serde_json::from_str(&entry.value).unwrap())
}
