//! The candidates in Rust: the project, and the programs that its users would write without it.

mod archive;
mod encoding;
mod fe2o3;
mod filtering;
mod lapin;
mod log;
mod noop;
pub(crate) mod ours;
pub(crate) mod reading;
mod spool;
mod web;

use crate::task::{BenchTask, Measurement};

/// Runs the candidate with this name; `None` if there is none.
pub(crate) fn run(name: &str, task: &BenchTask) -> Option<Measurement> {
    let (_, candidate) = CANDIDATES.iter().find(|(known, _)| *known == name)?;
    Some(candidate(task))
}

/// A candidate as a function.
type CandidateFunction = fn(&BenchTask) -> Measurement;

const CANDIDATES: [(&str, CandidateFunction); 42] = [
    ("noop-emit", noop::emit),
    ("noop-enabled", noop::enabled),
    ("log-disabled", noop::disabled_log),
    ("encode", encoding::ours),
    ("encode-unredacted", encoding::ours_unredacted),
    ("encode-serde", encoding::serde),
    ("decode", encoding::decode),
    ("decode-serde", encoding::decode_serde),
    ("emit", ours::emit),
    ("deliver", ours::deliver),
    ("deliver-tasks", ours::deliver_from_tasks),
    ("send", ours::send),
    ("unreachable", ours::fill_queue),
    ("flood", ours::flood),
    ("write-encoded", log::write_encoded),
    ("write-serde", log::write_serde),
    ("append-sync", log::append_and_sync),
    ("tracing-appender", log::tracing_appender),
    ("spool-append", spool::append),
    ("spool-accept", spool::accept),
    ("spool-forward", spool::forward),
    ("spool-reopen", spool::reopen),
    ("archive-ingest", archive::ingest),
    ("archive-ingest-hand", archive::ingest_by_hand),
    ("archive-life", archive::life),
    ("archive-life-hand", archive::life_by_hand),
    ("archive-transfers", archive::transfers),
    ("archive-transfers-hand", archive::transfers_by_hand),
    ("archive-size", archive::size),
    ("archive-service", archive::service),
    ("lapin-bursts", lapin::bursts),
    ("lapin-rolling", lapin::rolling),
    ("lapin-one", lapin::one_by_one),
    ("fe2o3", fe2o3::pipelined),
    ("read-listener", reading::listener),
    ("read-large", reading::large),
    ("read-lapin-parsed", reading::lapin_parsed),
    ("read-lapin-bare", reading::lapin_bare),
    ("filter-listen", filtering::listen),
    ("filter-grep-jq", filtering::grep_and_jq),
    ("web-search", web::search),
    ("web-search-hand", web::search_by_hand),
];
