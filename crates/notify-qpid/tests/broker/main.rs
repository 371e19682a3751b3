//! The transport on real peers of AMQP 1.0: Apache Qpid Proton, and RabbitMQ 3.10 with its plugin. One
//! program, so that one node serves all tests that do not harm it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test may fail as it does")]

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
