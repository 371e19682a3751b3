//! Helpers that the tests share: configurations and attempts.

use notify_core::config::DriverOptions;
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Priority, Result, Transport, Verdict};
use notify_qpid::Config;
use serde_json::{Map, Value};

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
    let Value::Object(mut options) = table else { panic!("not a table") };
    options.insert("url".into(), url.into());
    Config::from_options(DriverOptions::new("qpid", Map::from_iter(options)))
}

/// The verdicts and the result of one attempt.
#[derive(Debug)]
pub(crate) struct SendReport {
    /// The result of `send`.
    pub(crate) result: Result<()>,
    /// The verdict of each message; `None` for an unsettled message.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

impl SendReport {
    /// Returns the number of messages with the verdict `Accept`.
    pub(crate) fn accepted(&self) -> usize {
        let accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        self.verdicts.iter().filter(accepted).count()
    }

    /// Returns the error of the attempt, or that of the first message to retry.
    pub(crate) fn error(&self) -> Error {
        let retried = self.verdicts.iter().find_map(|verdict| match verdict {
            Some(Verdict::Retry(error)) => Some(error.clone()),
            _ => None,
        });
        self.result.clone().err().or(retried).unwrap()
    }
}

/// Sends `messages` once, and records the verdicts as they come.
pub(crate) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> SendReport {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            verdicts[index] = Some(verdict);
        }
    };
    let result = transport.send(&mut Batch::new(messages, &mut sink)).await;
    SendReport { result, verdicts }
}

/// Sends `messages` until the peer has accepted all of them, as the worker does.
///
/// # Panics
///
/// Panics on a permanent error.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) {
    let mut remaining = messages.to_vec();
    while !remaining.is_empty() {
        let SendReport { result, verdicts } = attempt(transport, &remaining).await;
        if let Err(error) = result {
            assert!(error.is_transient(), "{error:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut verdicts = verdicts.iter();
        remaining.retain(|_| !matches!(verdicts.next(), Some(Some(Verdict::Accept))));
    }
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
