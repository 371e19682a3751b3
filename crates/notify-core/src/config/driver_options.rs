//! The options of one strategy, from a table of the configuration to the strategy's own type.

use std::borrow::Cow;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::deserializer;
use super::deserializer::ValueError;
use super::origin::{Origin, Origins};
use crate::error::{Error, ErrorKind, Result};
use crate::redact::policy::Redact;
use crate::redact::printable::printable;

/// The configured options of one strategy, and the origin of each.
///
/// The facade creates these from the merged configuration and passes them to the `open` function of a
/// [`Driver`](super::Driver). `Debug` shows the keys and no value: any of them may be a password.
///
/// # Examples
///
/// ```
/// use notify_core::codec::serde_json::{Value, json};
/// use notify_core::config::{DriverOptions, Origin};
/// use serde::Deserialize;
///
/// #[derive(Debug, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct RabbitOptions {
///     host: String,
///     port: Option<u16>,
/// }
///
/// fn options(table: Value) -> DriverOptions {
///     let origin = |key: &str| {
///         (key.to_owned(), Origin { place: "notify.toml".to_owned(), raw: None })
///     };
///     DriverOptions::new("rabbit", table.as_object().unwrap().clone())
///         .with_origins(["host", "port", "prot"].map(origin).into())
/// }
///
/// let parsed: RabbitOptions = options(json!({ "host": "mq1", "port": 5672 })).parse()?;
/// assert_eq!((parsed.host.as_str(), parsed.port), ("mq1", Some(5672)));
///
/// let error = options(json!({ "host": "mq1", "port": "amqp" })).parse::<RabbitOptions>();
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "`rabbit.port` (notify.toml): expected a whole number from 0 to 65535, found a string",
/// );
/// let error = options(json!({ "host": "mq1", "prot": 5672 })).parse::<RabbitOptions>();
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "`rabbit.prot` (notify.toml): unknown option, expected \"host\" or \"port\"",
/// );
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct DriverOptions {
    prefix: Cow<'static, str>,
    table: Map<String, Value>,
    origins: Origins,
    publisher_id: Option<Arc<str>>,
}

impl DriverOptions {
    /// Creates the options of the strategy `prefix` from its table.
    ///
    /// Errors put the prefix in front of each key: `rabbit.port`. An empty prefix stands for the
    /// whole configuration.
    pub fn new(prefix: impl Into<Cow<'static, str>>, table: Map<String, Value>) -> Self {
        Self { prefix: prefix.into(), table, ..Self::default() }
    }

    /// Returns the table that errors name in front of each key: `rabbit`, or `destination[0].rabbit`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the same options with the origin of each key. The keys of `origins` are dotted paths
    /// without the prefix: `sync`, `tls.ca_file`.
    #[must_use]
    pub fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Returns the same options with the publisher id of the notifier.
    #[must_use]
    pub fn with_publisher_id(mut self, publisher_id: impl Into<Arc<str>>) -> Self {
        self.publisher_id = Some(publisher_id.into());
        self
    }

    /// Returns the publisher id of the notifier, if one is configured.
    ///
    /// A transport uses it in names that the operator of the destination sees, such as the name of a
    /// connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    ///
    /// let options = DriverOptions::default().with_publisher_id("image.host1");
    /// assert_eq!(options.publisher_id(), Some("image.host1"));
    /// ```
    pub fn publisher_id(&self) -> Option<&str> {
        self.publisher_id.as_deref()
    }

    /// Converts the options into the strategy's own type.
    ///
    /// Give that type `#[serde(deny_unknown_fields)]`, so that a misspelled option is an error.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Config`] that names the key, its origin and the
    /// expected type. It does not repeat the value, which may be a password under the wrong key.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        deserializer::parse(&self.table, &self.origins).map_err(|error| self.config_error(&error))
    }

    /// Converts an error of the deserializer, adding the full key and its origin.
    fn config_error(&self, error: &ValueError) -> Error {
        let path = error.path();
        // A user may have put a URL with a password in place of a key.
        let key = match (self.prefix.as_ref(), Redact::Secrets.text(&path).as_ref()) {
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

    /// Returns the origin of the value at `path`.
    ///
    /// A table has the origin of its first value, and part of a value that of the whole.
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

/// Returns a table that a program built, as the values that [`DriverOptions`] take. It omits options that
/// are not set.
///
/// # Errors
///
/// [`ErrorKind::Config`] if an option has no form in the configuration, such as a path that is not UTF-8.
///
/// # Examples
///
/// ```
/// use notify_core::config::table_values;
///
/// #[derive(Default, serde::Serialize)]
/// struct RabbitTable {
///     host: Option<String>,
///     port: Option<u16>,
/// }
///
/// let table = RabbitTable { port: Some(5671), ..RabbitTable::default() };
/// let values = table_values(&table)?;
/// assert_eq!((values.len(), &values["port"]), (1, &5671.into()));
/// # Ok::<_, notify_core::Error>(())
/// ```
pub fn table_values(table: &impl Serialize) -> Result<Map<String, Value>> {
    let mut values = match serde_json::to_value(table) {
        Ok(Value::Object(values)) => values,
        Ok(_) => return Err(Error::new(ErrorKind::Bug, "a table is no JSON object")),
        Err(error) => {
            let message = "an option of the program cannot be written as configuration";
            return Err(Error::new(ErrorKind::Config, message).with_source(error));
        }
    };
    drop_unset(&mut values);
    Ok(values)
}

/// Removes the options that are not set from a table and the tables in it.
fn drop_unset(values: &mut Map<String, Value>) {
    values.retain(|_, value| !value.is_null());
    for value in values.values_mut() {
        if let Value::Object(table) = value {
            drop_unset(table);
        }
    }
}

/// Shows the keys of the table, and no value.
impl fmt::Debug for DriverOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverOptions")
            .field("prefix", &self.prefix)
            .field("keys", &self.table.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The longest key that an error prints, in characters.
const KEY_CHARS: usize = 256;
/// The longest place that an error prints, in characters: a path may be long.
const PLACE_CHARS: usize = 512;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::config::seconds::Seconds;

    /// Options of every type that strategies use.
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors read these")]
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
    #[expect(dead_code, reason = "only the errors read these")]
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

    /// serde reads a value of several forms after the deserializer has handed it over, and names no key.
    #[test]
    fn an_error_of_a_value_of_several_forms_names_the_key() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only the errors read these")]
        struct TopicTable {
            topics: Option<TopicList>,
        }
        #[derive(Debug, Deserialize)]
        #[serde(untagged, expecting = "expected a text or a list of texts")]
        #[expect(dead_code, reason = "only the errors read these")]
        enum TopicList {
            One(String),
            Many(Vec<String>),
        }
        for table in [json!({ "topics": 424_242 }), json!({ "topics": [424_242] })] {
            let options = options(&table, &[("topics", "a.toml", None)]);
            assert_eq!(
                options.parse::<TopicTable>().unwrap_err().to_string(),
                "`rabbit.topics` (a.toml): expected a text or a list of texts"
            );
        }
    }

    /// An operator learns what to change, and a password in the wrong place stays secret.
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
                "`rabbit.mode` (a.toml): unknown value, expected \"plain\" or \"oslo-two\"",
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

    /// A table has no origin of its own in a merged configuration.
    #[test]
    fn a_table_error_names_the_place_of_its_first_value() {
        let options = options(&json!({ "tsl": { "a": 1 } }), &[("tsl.a", "--set", None)]);
        let error = options.parse::<RabbitTable>().unwrap_err();
        assert!(error.to_string().starts_with("`rabbit.tsl` (--set): unknown option"), "{error}");
    }

    /// A password of digits from the environment arrives as it was typed, leading zeros included.
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

    /// Neither the options nor their origins leak a password into a log.
    #[test]
    fn debug_shows_no_value() {
        let options = options(&json!({ "url": "hunter2" }), &[("url", "--set", Some("hunter2"))]);
        let shown = format!("{options:?} {:?}", options.origins);
        assert!(shown.contains("url") && !shown.contains("hunter2"), "{shown}");
    }
}
