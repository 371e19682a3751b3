//! The parts of the command `glance-notify` that fuzzing and benchmarks need to reach.
//!
//! The command is a binary; this library exists for its own tests. It has no stable interface: build on
//! `glance-notify` and `notify-archive` instead.
//!
//! With the feature `serve`, `web` holds the web pages of `glance-notify serve`.

#[cfg(feature = "serve")]
pub mod web;
