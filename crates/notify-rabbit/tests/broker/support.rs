//! Helpers for all tests: transports, conditions, and the resources of this process.

use std::time::Duration;

use notify_conformance::options::options_with_url;
use notify_rabbit::{Config, Rabbit};
use serde_json::Value;

/// The time limit of every wait: longer than any test needs.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// Creates a configuration from the table `[rabbit]` with `url` and `more` options.
pub(crate) fn config(url: &str, more: Value) -> Config {
    Config::from_options(options_with_url("rabbit", url, more)).unwrap()
}

/// Creates the configuration of a source from the table `[source]` with `url` and `more` options.
#[cfg(feature = "source")]
pub(crate) fn source_config(url: &str, more: Value) -> notify_rabbit::RabbitSourceConfig {
    let options = options_with_url("source", url, more);
    notify_rabbit::RabbitSourceConfig::from_options(options).unwrap()
}

/// Creates a transport with the [`config`] of the same arguments.
pub(crate) fn rabbit(url: &str, more: Value) -> Rabbit {
    Rabbit::new(config(url, more)).unwrap()
}

/// Waits until `condition` holds. `description` names it in the panic message of a timeout.
pub(crate) async fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(LONG, waiting).await.is_ok(),
        "timed out waiting until {description}"
    );
}

/// Returns the number of lapin's threads in this process, by their names in `/proc` (Linux).
pub(crate) fn lapin_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin")).count()
}

/// Returns the number of open sockets in this process, by the links in `/proc` (Linux).
pub(crate) fn open_sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let targets = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}
