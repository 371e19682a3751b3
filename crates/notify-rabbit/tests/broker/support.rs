//! What the tests share: transports, attempts, and what is open.

use std::time::Duration;

use notify_core::config::DriverOptions;
use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Result, Transport, Verdict};
use notify_rabbit::{Config, Rabbit};
use serde_json::{Value, json};

/// Longer than anything here may take.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// The table `[rabbit]` with `url` and what else is given.
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

/// A transport with the table of [`config`].
pub(crate) fn rabbit(url: &str, more: Value) -> Rabbit {
    match Rabbit::new(config(url, more)) {
        Ok(rabbit) => rabbit,
        Err(error) => panic!("{error:#}"),
    }
}

/// What came of one attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) end: Result<()>,
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// Tries once.
pub(crate) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> Attempt {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            assert!(verdicts[index].replace(verdict).is_none(), "{index} was settled twice");
        }
    };
    let mut batch = Batch::new(messages, &mut sink);
    let end = tokio::time::timeout(LONG, transport.send(&mut batch)).await;
    let end = end.unwrap_or_else(|_| panic!("a send hangs"));
    if end.is_ok() {
        assert!(verdicts.iter().all(Option::is_some), "`Ok`, but not settled: {verdicts:?}");
    }
    Attempt { end, verdicts }
}

impl Attempt {
    /// Which messages were accepted.
    pub(crate) fn accepted(&self) -> Vec<usize> {
        let accepted = self.verdicts.iter().enumerate();
        accepted.filter(|(_, v)| matches!(v, Some(Verdict::Accept))).map(|(i, _)| i).collect()
    }

    /// That everything was accepted.
    pub(crate) fn all_accepted(&self) {
        assert!(self.end.is_ok(), "{:?}", self.end);
        assert_eq!(self.accepted().len(), self.verdicts.len(), "{:?}", self.verdicts);
    }

    /// Why nothing was accepted.
    pub(crate) fn failure(self) -> Error {
        assert_eq!(self.accepted(), [0; 0], "{:?}", self.verdicts);
        self.end.expect_err("it must fail")
    }
}

/// Tries until it succeeds, as the worker does; returns the errors on the way.
pub(crate) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut left = messages.to_vec();
    let until = tokio::time::Instant::now() + LONG;
    while !left.is_empty() {
        assert!(tokio::time::Instant::now() < until, "not delivered: {errors:?}");
        let Attempt { end, verdicts } = attempt(transport, &left).await;
        let mut verdicts = verdicts.into_iter();
        left.retain(|message| match verdicts.next().flatten() {
            Some(Verdict::Accept) => false,
            Some(Verdict::Refuse(error)) => panic!("{:?} was refused: {error:#}", message.id()),
            Some(Verdict::Retry(_)) | None => true,
        });
        errors.extend(end.err());
        if !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    errors
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, waiting).await.is_ok(), "waited in vain until {what}");
}

/// How many threads of lapin's this process has.
pub(crate) fn lapin_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin")).count()
}

/// How many sockets this process has open.
pub(crate) fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let targets = open.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}
