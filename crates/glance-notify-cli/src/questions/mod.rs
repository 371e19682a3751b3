//! The commands that ask questions: `timeline`, `who`, `search` and `report`.
//!
//! They read records from files, standard input or an archive, and print the answers of the library
//! `notify-archive`. They decide nothing themselves: no answer is computed here.

mod answer_coverage;
pub(crate) mod answer_output;
mod question_args;
mod record_input;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod selection_args;
pub(crate) mod timeline;
pub(crate) mod who;

pub(crate) use selection_args::interval_filter;
