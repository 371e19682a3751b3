//! `notify-qpid` on real peers: Apache Qpid Proton, and RabbitMQ 3.10 with its plugin.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may fail as it does")]

mod access;
mod common;
mod dialects;
mod faults;
mod nodes;
mod outcomes;
mod proton;
mod rabbitmq;
#[cfg(feature = "tls")]
mod tls;
