//! Helpers that the tests share: configurations and queues.

use notify_conformance::options::options_with_url;
use notify_core::{Priority, Result};
use notify_qpid::Config;
use serde_json::Value;

/// Returns the configuration of `url` and the keys of `table`.
///
/// # Panics
///
/// Panics if they contradict each other.
pub(crate) fn config(url: &str, table: Value) -> Config {
    read(url, table).unwrap()
}

/// Reads the configuration of `url` and the keys of `table`, which may contradict each other.
pub(crate) fn read(url: &str, table: Value) -> Result<Config> {
    Config::from_options(options_with_url("qpid", url, table))
}

/// The queue of each documented priority.
pub(crate) const QUEUES: [(&str, Priority); 3] = [
    ("notifications.info", Priority::Info),
    ("notifications.warn", Priority::Warn),
    ("notifications.error", Priority::Error),
];

/// The queues of the priorities that the specification does not document.
pub(crate) const OTHER_QUEUES: [(&str, Priority); 4] = [
    ("notifications.audit", Priority::Audit),
    ("notifications.critical", Priority::Critical),
    ("notifications.debug", Priority::Debug),
    ("notifications.sample", Priority::Sample),
];

/// Waits for `future`, 90 s at most.
///
/// # Panics
///
/// Panics after that time, so that a transport that hangs fails its test.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(90), future).await.unwrap()
}

/// Returns an application property with its value as JSON.
pub(crate) fn as_json((name, value): (String, Value)) -> (String, String) {
    (name, value.to_string())
}
