//! The command as a person or a script uses it: one module for each subcommand, and for what all of
//! them promise.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail as it likes")]

mod check;
mod clock;
mod completions;
mod emit;
mod killed;
mod qpid;
mod rabbit;
mod rotation;
mod schema;
mod secrets;
mod signals;
mod spool;
mod spool_drain;
mod spool_refused;
mod support;
mod terminal;
mod validate;
mod wrong_configuration;
mod wrong_input;
