//! What the tests of this crate share.

use notify_core::config::DriverOptions;
use notify_core::transport::Settlements;
use notify_core::{Batch, Message, Priority, Result, Transport, Verdict};
use notify_qpid::Config;
use serde_json::{Map, Value};

/// The configuration of `url` and what `table` adds.
pub(crate) fn config(url: &str, table: Value) -> Config {
    read(url, table).unwrap()
}

/// As [`config`], which may be wrong.
pub(crate) fn read(url: &str, table: Value) -> Result<Config> {
    let Value::Object(mut options) = table else { panic!("a table") };
    options.insert("url".into(), url.into());
    Config::from_options(DriverOptions::new("qpid", Map::from_iter(options)))
}

/// What came of one attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// How it ended.
    pub(crate) end: Result<()>,
    /// Each message's verdict.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

impl Attempt {
    /// How many were accepted.
    pub(crate) fn accepted(&self) -> usize {
        let accepted = |verdict: &&Option<Verdict>| matches!(verdict, Some(Verdict::Accept));
        self.verdicts.iter().filter(accepted).count()
    }
}

/// Tries once.
pub(crate) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> Attempt {
    let mut verdicts = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            verdicts[index] = Some(verdict);
        }
    };
    let end = transport.send(&mut Batch::new(messages, &mut sink)).await;
    Attempt { end, verdicts }
}

/// Tries until everything is accepted, as the worker does.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) {
    let mut left = messages.to_vec();
    while !left.is_empty() {
        let Attempt { end, verdicts } = attempt(transport, &left).await;
        if let Err(error) = end {
            assert!(error.is_transient(), "{error:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut verdicts = verdicts.iter();
        left.retain(|_| !matches!(verdicts.next(), Some(Some(Verdict::Accept))));
    }
}

/// Each priority's queue.
pub(crate) const QUEUES: [(&str, Priority); 3] = [
    ("notifications.info", Priority::Info),
    ("notifications.warn", Priority::Warn),
    ("notifications.error", Priority::Error),
];

/// Waits, a minute and a half at most.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(90), future).await.unwrap()
}
