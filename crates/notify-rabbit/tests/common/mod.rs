//! What the tests of this crate share.

use notify_core::Options;
use notify_rabbit::Config;
use serde_json::{Value, json};

/// The table `[rabbit]` with `url` and what else is given.
pub(crate) fn config(url: &str, more: Value) -> Config {
    let mut table = json!({ "url": url });
    if let (Value::Object(table), Value::Object(more)) = (&mut table, more) {
        table.extend(more);
    }
    let Value::Object(table) = table else { unreachable!("an object") };
    match Config::from_options(Options::new("rabbit", table)) {
        Ok(config) => config,
        Err(error) => panic!("{error:#}"),
    }
}
