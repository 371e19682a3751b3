//! The parts of the command `glance-notify` that fuzzing and benchmarks need to reach, and those that they use.
//!
//! The command is a binary; this library exists for its own tests. It has no stable interface: build on
//! `glance-notify` and `notify-archive` instead.
//!
//! With the feature `archive`, `connection_list` and `request_host` hold what its two HTTP servers share. With the
//! feature `serve`, `web` holds the web pages of `glance-notify serve`.

#[cfg(feature = "archive")]
pub mod connection_list;
pub mod json_output;
#[cfg(feature = "archive")]
pub mod request_host;
pub mod units;
#[cfg(feature = "serve")]
pub mod web;
