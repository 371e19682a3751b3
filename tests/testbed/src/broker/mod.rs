//! Real brokers and real programs around them, private to the test that starts them.
//!
//! Nothing here shares a name, a port, a file or a process with another test or with the rest of
//! the machine. Brokers and programs end when the test drops them, and at the latest with the
//! test's process, even after `kill -9`.
//!
//! Every function blocks. A test that must make progress in the meantime runs on several threads
//! (`#[tokio::test(flavor = "multi_thread")]`) or moves the call to `tokio::task::spawn_blocking`.
//!
//! Every function panics on failure and repeats the error output of the program. A missing program
//! is a failure too: install it with `cargo xtask setup`.

mod amqp_client;
pub mod cloud_events;
pub mod oslo;
pub mod oslo_resolver;
pub mod proton;
mod python_process;
pub mod rabbitmq;
