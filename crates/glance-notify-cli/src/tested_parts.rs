//! The parts of the command `glance-notify` that fuzzing and benchmarks need to reach, and those that they use.
//!
//! The command is a binary; this library exists for its own tests. It has no stable interface: build on
//! `glance-notify` and `notify-archive` instead.
//!
//! With the feature `serve`, `web` holds the web pages of `glance-notify serve`.

pub mod json_output;
pub mod units;
#[cfg(feature = "serve")]
pub mod web;
