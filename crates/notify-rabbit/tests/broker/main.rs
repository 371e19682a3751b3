//! The transport against RabbitMQ nodes, over links that fail, and against peers that violate the
//! protocol.
//!
//! All modules are one program, so that one shared node serves every test that does not harm it. Tests
//! on the shared node have a virtual host each; tests that stop, freeze or configure a node start one
//! of their own.
//!
//! * `contract` runs the conformance suite of every transport.
//! * `access`, `tls` and `secrets` cover login, certificates, and what errors and logs show.
//! * `topology`, `oslo_messaging` and `headers` cover declarations and the form of messages.
//! * `interruptions` covers brokers and links that fail; `relay` is the link.
//! * `source_contract`, `source_failures`, `source_queues` and `unavailable_queues` cover the source.
//! * `counters` covers the counters of the broker, and `silent_queues` a queue that answers nothing.
//! * `misbehaving_peers` covers unusual and invalid answers; `scripted_peer` gives them.
//!
//! `cargo xtask setup` installs RabbitMQ.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test may panic"
)]

mod access;
#[cfg(feature = "source")]
mod cloud_events;
mod contract;
mod counters;
#[cfg(feature = "source")]
mod headers;
mod interruptions;
mod misbehaving_peers;
mod oslo_messaging;
mod relay;
mod scripted_peer;
mod secrets;
mod silent_queues;
#[cfg(feature = "source")]
mod source_contract;
#[cfg(feature = "source")]
mod source_failures;
#[cfg(feature = "source")]
mod source_queues;
#[cfg(feature = "source")]
mod source_support;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod topology;
#[cfg(feature = "source")]
mod unavailable_queues;
mod verdicts;
