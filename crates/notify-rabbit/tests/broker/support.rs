//! Helpers for all tests: transports, attempts, conditions, and the resources of this process.

use std::time::Duration;

use notify_core::config::DriverOptions;
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Result, Transport, Verdict};
use notify_rabbit::{Config, Rabbit};
use serde_json::{Value, json};

/// The time limit of every wait: longer than any test needs.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// Creates a configuration from the table `[rabbit]` with `url` and `more` options.
pub(crate) fn config(url: &str, more: Value) -> Config {
    let mut table = json!({ "url": url });
    if let (Value::Object(table), Value::Object(more)) = (&mut table, more) {
        table.extend(more);
    }
    let Value::Object(table) = table else { unreachable!("an object") };
    match Config::from_options(DriverOptions::new("rabbit", table)) {
        Ok(config) => config,
        Err(error) => panic!("{error:#}"),
    }
}

/// Creates the configuration of a source from the table `[source]` with `url` and `more` options.
#[cfg(feature = "source")]
pub(crate) fn source_config(url: &str, more: Value) -> notify_rabbit::RabbitSourceConfig {
    let mut table = json!({ "url": url });
    if let (Value::Object(table), Value::Object(more)) = (&mut table, more) {
        table.extend(more);
    }
    let Value::Object(table) = table else { unreachable!("an object") };
    match notify_rabbit::RabbitSourceConfig::from_options(DriverOptions::new("source", table)) {
        Ok(config) => config,
        Err(error) => panic!("{error:#}"),
    }
}

/// Creates a transport with the [`config`] of the same arguments.
pub(crate) fn rabbit(url: &str, more: Value) -> Rabbit {
    match Rabbit::new(config(url, more)) {
        Ok(rabbit) => rabbit,
        Err(error) => panic!("{error:#}"),
    }
}

/// The result of one attempt.
#[derive(Debug)]
pub(crate) struct SendReport {
    /// The result of `Transport::send`.
    pub(crate) result: Result<()>,
    /// The verdict of each message, or `None` for an unsettled one.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// Sends `messages` once.
///
/// # Panics
///
/// If the transport settles a message twice, returns `Ok` with unsettled messages, or hangs.
pub(crate) async fn send_once(transport: &mut dyn Transport, messages: &[Message]) -> SendReport {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "message {index} is settled twice");
        }
    };
    let mut batch = Batch::new(messages, &mut sink);
    let result = tokio::time::timeout(LONG, transport.send(&mut batch)).await;
    let result = result.unwrap_or_else(|_| panic!("the send hangs"));
    if result.is_ok() {
        assert!(verdicts.iter().all(Option::is_some), "`Ok` with unsettled messages: {verdicts:?}");
    }
    SendReport { result, verdicts }
}

impl SendReport {
    /// Returns the indices of the accepted messages.
    pub(crate) fn accepted(&self) -> Vec<usize> {
        let accepted = self.verdicts.iter().enumerate();
        accepted.filter(|(_, v)| matches!(v, Some(Verdict::Accept))).map(|(i, _)| i).collect()
    }

    /// Asserts that the attempt accepted every message.
    pub(crate) fn assert_all_accepted(&self) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        assert_eq!(self.accepted().len(), self.verdicts.len(), "{:?}", self.verdicts);
    }

    /// Returns the reason of the first message to retry.
    pub(crate) fn first_retry(&self) -> Error {
        let retried = self.verdicts.iter().find_map(|verdict| match verdict {
            Some(Verdict::Retry(error)) => Some(error.clone()),
            _ => None,
        });
        retried.unwrap_or_else(|| panic!("no message to retry: {:?}", self.verdicts))
    }

    /// Returns the error of an attempt that accepted no message.
    pub(crate) fn into_error(self) -> Error {
        assert_eq!(self.accepted(), [0; 0], "{:?}", self.verdicts);
        self.result.expect_err("the send must fail")
    }
}

/// Sends `messages` until all are accepted, as the worker does. Returns the errors on the way.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut pending = messages.to_vec();
    let deadline = tokio::time::Instant::now() + LONG;
    while !pending.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "not delivered: {errors:?}");
        let SendReport { result, verdicts } = send_once(transport, &pending).await;
        let mut verdicts = verdicts.into_iter();
        pending.retain(|message| match verdicts.next().flatten() {
            Some(Verdict::Accept) => false,
            Some(Verdict::Refuse(error)) => {
                panic!("the transport refused {:?}: {error:#}", message.id())
            }
            Some(Verdict::Retry(_)) | None => true,
        });
        errors.extend(result.err());
        if !pending.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    errors
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
