//! The transport on real RabbitMQ nodes, on links that fail, and against peers that lie. One program,
//! so that one node serves all tests that do not harm it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test may fail as it does"
)]

mod access;
mod contract;
mod interruptions;
mod peer;
mod peers;
mod relay;
mod secrets;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod topology;
