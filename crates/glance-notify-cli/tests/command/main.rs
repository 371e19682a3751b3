//! The command as a person or a script uses it: one module for each subcommand, and for what all of
//! them promise.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail as it likes")]

mod check;
mod clock;
mod completions;
mod emit;
mod invalid_configuration;
mod invalid_input;
mod kill;
mod qpid;
mod rabbit;
mod rotation;
mod schema;
mod secrets;
mod signals;
mod spool;
mod spool_dead_letters;
mod spool_drain;
mod support;
mod terminal;
mod validate;
