//! The table of options of a strategy, as a user writes it, and the rules for its errors.

use notify_core::config::{DriverOptions, Origin};
use notify_core::{ErrorKind, Result};
use serde_json::{Map, Value};

/// Returns the options of a table that stands in the file `a.toml`.
///
/// # Panics
///
/// If `table` is not an object.
///
/// # Examples
///
/// ```
/// use notify_conformance::options::options_of;
/// use serde_json::json;
///
/// let options = options_of("bus", json!({ "host": "bus1" }));
/// let error = options.parse::<std::collections::BTreeMap<String, u16>>().unwrap_err();
/// assert!(error.to_string().starts_with("`bus.host` (a.toml): "));
/// ```
pub fn options_of(strategy: &'static str, table: Value) -> DriverOptions {
    let Value::Object(table) = table else { panic!("the options are not a table: {table}") };
    let origin = |key: &String| (key.clone(), Origin { place: "a.toml".into(), raw: None });
    let origins = table.keys().map(origin).collect();
    DriverOptions::new(strategy, table).with_origins(origins)
}

/// Returns the options of a table with a URL and more options, of which the URL is the first.
///
/// # Panics
///
/// If `more` is not an object.
pub fn options_with_url(strategy: &'static str, url: &str, more: Value) -> DriverOptions {
    let Value::Object(more) = more else { panic!("the options are not a table: {more}") };
    let mut table = Map::from_iter([("url".to_owned(), url.into())]);
    table.extend(more);
    options_of(strategy, Value::Object(table))
}

/// Asserts that `read` rejects each table with an error that contains its text, of the kind
/// [`ErrorKind::Config`]. No error shows the password [`SECRET`].
///
/// # Panics
///
/// If one of these does not hold.
///
/// # Examples
///
/// ```
/// use notify_conformance::options::{SECRET, assert_rejected, options_of};
/// use serde_json::json;
///
/// type BusOptions = std::collections::BTreeMap<String, u16>;
/// let cases = [(json!({ "port": SECRET }), "`bus.port` (a.toml): expected a whole number")];
/// assert_rejected(cases, |table| options_of("bus", table).parse::<BusOptions>());
/// ```
pub fn assert_rejected<T: std::fmt::Debug>(
    cases: impl IntoIterator<Item = (Value, &'static str)>,
    read: impl Fn(Value) -> Result<T>,
) {
    for (table, expected) in cases {
        let error = read(table).expect_err(expected);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(expected), "{error}, and not {expected}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
}

/// The password that no error and no `Debug` shows.
pub const SECRET: &str = "hunter2";
