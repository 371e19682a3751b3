//! Tests of the transport on real peers of AMQP 1.0: Apache Qpid Proton, and RabbitMQ 3.10 with its
//! plugin.
//!
//! They form one program, so that tests can share a RabbitMQ node.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail in any way")]

mod access;
mod contract_proton;
mod contract_rabbitmq;
mod dialects;
mod faults;
mod hostile;
mod nodes;
mod outcomes;
mod secrets;
mod support;
#[cfg(feature = "tls")]
mod tls;
