//! The contenders in Rust: ours, and what others would write. Each runs in a process of its own.

mod encoding;
mod fe2o3;
mod lapin;
mod log;
mod noop;
pub(crate) mod ours;
mod spool;

use crate::task::{Outcome, Task};

/// Runs the contender of that name.
pub(crate) fn run(name: &str, task: &Task) -> Option<Outcome> {
    let (_, contender) = CONTENDERS.iter().find(|(known, _)| *known == name)?;
    Some(contender(task))
}

type Contender = fn(&Task) -> Outcome;

const CONTENDERS: [(&str, Contender); 24] = [
    ("noop-emit", noop::emit),
    ("noop-enabled", noop::enabled),
    ("log-disabled", noop::disabled_log),
    ("encode", encoding::ours),
    ("encode-unredacted", encoding::ours_unredacted),
    ("encode-serde", encoding::serde),
    ("emit", ours::emit),
    ("deliver", ours::deliver),
    ("deliver-tasks", ours::deliver_from_tasks),
    ("send", ours::send),
    ("away", ours::away),
    ("flood", ours::flood),
    ("write-encoded", log::write_encoded),
    ("write-serde", log::write_serde),
    ("append-sync", log::append_and_sync),
    ("tracing-appender", log::tracing_appender),
    ("spool-append", spool::append),
    ("spool-accept", spool::accept),
    ("spool-forward", spool::forward),
    ("spool-reopen", spool::reopen),
    ("lapin-bursts", lapin::bursts),
    ("lapin-rolling", lapin::rolling),
    ("lapin-one", lapin::one_by_one),
    ("fe2o3", fe2o3::pipelined),
];
