//! Several parts of the workspace together, against RabbitMQ and programs of others.
//!
//! All modules are one program, so that one shared node serves every test that does not harm it.
//!
//! * `oslo_messaging` sends to its listeners, and `reading` reads what it sends.
//! * `cloud_events` sends to the Python SDK of CloudEvents, and reads what it writes.
//! * `destinations` covers several destinations of which one is frozen.
//! * `cluster` covers a cluster that loses a node.
//!
//! `cargo xtask setup` installs RabbitMQ.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic and print"
)]

mod cloud_events;
mod cluster;
mod destinations;
mod oslo_messaging;
mod reading;
