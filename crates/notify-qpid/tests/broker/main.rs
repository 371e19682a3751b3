//! Tests of the transport on real peers of AMQP 1.0: Apache Qpid Proton, and RabbitMQ: 3.10 with
//! its plugin, or 4 with `cargo xtask brokers rabbitmq4`.
//!
//! They form one program, so that tests can share a RabbitMQ node.
//!
//! | module | promises |
//! |---|---|
//! | `contract_proton`, `contract_rabbitmq` | the transport contract, on both peers |
//! | `outcomes` | the message on the wire, and the verdict of each outcome |
//! | `faults`, `hostile` | faults and attacks of the peer lose no message and harm no process |
//! | `nodes`, `dialects` | the addresses of each product, and bound, missing and full nodes |
//! | `rabbitmq3`, `rabbitmq4` | what only one of the two versions does |
//! | `access`, `tls` | logins, certificates and the errors about them |
//! | `counters` | the counters of the broker |
//! | `secrets` | no password and no payload in logs and errors |

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail in any way")]

mod access;
mod contract_proton;
mod contract_rabbitmq;
mod counters;
mod dialects;
mod faults;
mod hostile;
mod nodes;
mod outcomes;
mod rabbitmq3;
mod rabbitmq4;
mod secrets;
mod support;
#[cfg(feature = "tls")]
mod tls;
