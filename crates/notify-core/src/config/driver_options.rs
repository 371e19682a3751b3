//! The options that a strategy is configured with, read into its own type.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::deserializer;
use super::deserializer::ValueError;
use super::origin::{Origin, Origins};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::policy::Redact;
use crate::redact::printable::printable;

/// The table of one strategy, as it was configured, and where each of its keys came from.
#[derive(Clone, Default)]
pub struct DriverOptions {
    prefix: &'static str,
    table: Map<String, Value>,
    origins: Origins,
    publisher_id: Option<Arc<str>>,
}

impl DriverOptions {
    /// The table of the strategy called `prefix`; the whole configuration when that is empty.
    pub fn new(prefix: &'static str, table: Map<String, Value>) -> Self {
        Self { prefix, table, ..Self::default() }
    }

    /// The same options, knowing where each key (`sync`, `tls.ca_file`) came from.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
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
    /// [`ErrorKind::Config`] with the key, where it was set, and what was expected. The value is not
    /// repeated: it may be a password that stands in the wrong place.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        deserializer::parse(&self.table, &self.origins).map_err(|error| self.config_error(&error))
    }

    /// The error of the key at `path`, which may be empty for the whole table.
    fn config_error(&self, error: &ValueError) -> Error {
        let path = error.path();
        // A URL may stand where a key belongs.
        let key = match (self.prefix, Redact::Secrets.text(&path).as_ref()) {
            ("", "") => "the configuration".to_owned(),
            ("", path) => format!("`{}`", printable(path, KEY_CHARS)),
            (prefix, "") => format!("`{prefix}`"),
            (prefix, path) => format!("`{prefix}.{}`", printable(path, KEY_CHARS)),
        };
        let place = match self.origin(&path) {
            Some(origin) => format!(" ({})", printable(&origin.place, PLACE_CHARS)),
            None => String::new(),
        };
        Error::new(ErrorKind::Config, format!("{key}{place}: {error}"))
    }

    /// Where the value at `path` came from; for a table, where the first value in it did, and for
    /// part of a value, where the whole did.
    fn origin(&self, path: &str) -> Option<&Origin> {
        let below = format!("{path}.");
        let around = path.match_indices(['.', '[']).map(|(at, _)| &path[..at]).rev();
        std::iter::once(path).chain(around).find_map(|path| self.origins.get(path)).or_else(|| {
            let mut rest =
                self.origins.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded));
            rest.next().filter(|(key, _)| key.starts_with(&below)).map(|(_, origin)| origin)
        })
    }
}

impl fmt::Debug for DriverOptions {
    /// Names the keys, shows no value: any of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverOptions")
            .field("prefix", &self.prefix)
            .field("keys", &self.table.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

const KEY_CHARS: usize = 256;
const PLACE_CHARS: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::config::seconds::Seconds;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the messages only")]
    struct RabbitTable {
        url: Option<String>,
        port: Option<u16>,
        sync: Option<bool>,
        hosts: Option<Vec<String>>,
        mode: Option<EnvelopeMode>,
        timeout: Option<Seconds>,
        tls: Option<TlsTable>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum EnvelopeMode {
        Plain,
        OsloTwo,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by the messages only")]
    struct TlsTable {
        ca_file: String,
    }

    fn options(table: &Value, origins: &[(&str, &str, Option<&str>)]) -> DriverOptions {
        let origins = origins.iter().map(|&(key, place, raw)| {
            (key.to_owned(), Origin { place: place.to_owned(), raw: raw.map(str::to_owned) })
        });
        DriverOptions::new("rabbit", table.as_object().unwrap().clone())
            .with_origins(origins.collect())
    }

    #[test]
    fn errors_name_key_place_and_expectation_but_no_value() {
        for (table, expected) in [
            (
                json!({ "port": "hunter2" }),
                "`rabbit.port` (a.toml): expected a whole number from 0 to 65535, found a string",
            ),
            (
                json!({ "port": 424_242 }),
                "`rabbit.port` (a.toml): expected a whole number from 0 to 65535, found a number out of range",
            ),
            (
                json!({ "port": -424_242 }),
                "`rabbit.port` (a.toml): expected a whole number from 0 to 65535, found a negative number",
            ),
            (
                json!({ "port": 42.42 }),
                "`rabbit.port` (a.toml): expected a whole number from 0 to 65535, found a floating-point number",
            ),
            (
                json!({ "url": 424_242 }),
                "`rabbit.url` (a.toml): expected a string, found a whole number",
            ),
            (
                json!({ "url": ["hunter2"] }),
                "`rabbit.url` (a.toml): expected a string, found a list",
            ),
            (
                json!({ "sync": "hunter2" }),
                "`rabbit.sync` (a.toml): expected true or false, found a string",
            ),
            (
                json!({ "hosts": "hunter2" }),
                "`rabbit.hosts` (a.toml): expected a list, found a string",
            ),
            (
                json!({ "hosts": ["a", 424_242] }),
                "`rabbit.hosts[1]` (a.toml): expected a string, found a whole number",
            ),
            (
                json!({ "mode": "raw" }),
                "`rabbit.mode` (a.toml): unknown value \"raw\", expected \"plain\" or \"oslo-two\"",
            ),
            (
                json!({ "mode": 424_242 }),
                "`rabbit.mode` (a.toml): expected a string, found a whole number",
            ),
            (
                json!({ "timeout": "hunter2" }),
                "`rabbit.timeout` (a.toml): expected a number of seconds above 0 and at most 31622400, found a string",
            ),
            (
                json!({ "timeout": 0 }),
                "`rabbit.timeout` (a.toml): expected a number of seconds above 0 and at most 31622400, found a number out of range",
            ),
            (
                json!({ "tls": "hunter2" }),
                "`rabbit.tls` (a.toml): expected a table, found a string",
            ),
            (json!({ "tls": {} }), "`rabbit.tls.ca_file` (a.toml): this option is required"),
            (
                json!({ "tls": { "ca_file": 424_242 } }),
                "`rabbit.tls.ca_file` (a.toml): expected a string, found a whole number",
            ),
            (
                json!({ "tls": { "cafile": "hunter2" } }),
                "`rabbit.tls.cafile` (a.toml): unknown option, expected \"ca_file\"",
            ),
            (
                json!({ "prot": "hunter2" }),
                "`rabbit.prot` (a.toml): unknown option, expected \"url\", \"port\", \"sync\", \"hosts\", \"mode\", \"timeout\" or \"tls\"",
            ),
        ] {
            let key = table.as_object().unwrap().keys().next().unwrap().clone();
            let error =
                options(&table, &[(&key, "a.toml", None)]).parse::<RabbitTable>().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?}{error:#}").contains("hunter2"));
            assert!(!format!("{error:?}{error:#}").contains("4242"));
        }
    }

    #[test]
    fn a_table_error_names_the_place_of_its_first_value() {
        let options = options(&json!({ "tsl": { "a": 1 } }), &[("tsl.a", "--set", None)]);
        let error = options.parse::<RabbitTable>().unwrap_err();
        assert!(error.to_string().starts_with("`rabbit.tsl` (--set): unknown option"), "{error}");
    }

    #[test]
    fn keeps_raw_text_when_a_string_is_expected() {
        let table = json!({ "url": 12345, "port": 5672, "mode": "oslo-two", "timeout": 0.5 });
        let raw = |text| ("--set", Some(text));
        let origins = [("url", raw("0012345")), ("port", raw("5672")), ("mode", raw("oslo-two"))];
        let origins = origins.map(|(key, (place, raw))| (key, place, raw));
        let table = options(&table, &origins).parse::<RabbitTable>().unwrap();
        assert_eq!(table.url.as_deref(), Some("0012345"));
        assert_eq!(table.port, Some(5672));
        assert_eq!(table.mode, Some(EnvelopeMode::OsloTwo));
        assert_eq!(table.timeout.map(Duration::from), Some(Duration::from_millis(500)));
    }

    #[test]
    fn debug_shows_no_value() {
        let options = options(&json!({ "url": "hunter2" }), &[("url", "--set", Some("hunter2"))]);
        let shown = format!("{options:?} {:?}", options.origins);
        assert!(shown.contains("url") && !shown.contains("hunter2"), "{shown}");
    }
}
