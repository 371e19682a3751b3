//! The transport against RabbitMQ nodes, over links that fail, and against peers that violate the
//! protocol.
//!
//! All modules are one program, so that one shared node serves every test that does not harm it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test may panic"
)]

mod access;
mod contract;
mod interruptions;
mod misbehaving_peers;
mod oslo_messaging;
mod relay;
mod scripted_peer;
mod secrets;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod topology;
