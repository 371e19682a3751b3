//! The description of every key: one source for the documents, for `glance-notify config explain`, and for
//! the sample that `glance-notify config init` writes.
//!
//! The strategies' own types decide which keys exist. Tests compare them with the descriptions.

mod broker;
mod common;
mod config_key;
mod destinations;
mod listening;
mod log;
mod qpid;
mod rabbit;
mod sample;
mod tables;

pub use config_key::{ConfigKey, KeyKind};
pub use sample::sample;
