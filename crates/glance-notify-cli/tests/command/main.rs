//! Integration tests: the command as a user or a script runs it.
//!
//! One module covers each subcommand, and one each promise that all subcommands make:
//! escaped output (`terminal`), no secrets (`secrets`), clear errors (`invalid_input`,
//! `invalid_configuration`), orderly stops (`signals`), and crashes (`kill`).
//!
//! The tests of `rabbit`, `qpid` and the spool start private brokers through
//! `notify-testbed`. None of them needs a broker that runs already.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail as it likes"
)]

mod archive;
mod archive_service;
mod check;
mod clock;
mod completions;
mod config;
mod dead;
mod destinations;
mod doctor;
mod doctor_management;
mod doctor_peers;
mod documents;
mod emit;
mod emit_report;
mod exit_codes;
mod invalid_configuration;
mod invalid_input;
mod kill;
mod limits;
mod listen;
mod listen_rabbit;
mod mistake_rows;
mod mistakes;
mod names_across_inputs;
mod numbered_archive;
mod operations;
mod output_files;
mod owners;
mod planted_secrets;
mod qpid;
mod questions;
mod quickstart;
mod rabbit;
mod replay;
mod rotation;
mod schema;
mod screens;
mod secrets;
#[cfg(feature = "serve")]
mod serve;
mod signals;
mod spool;
mod spool_dead_letters;
mod spool_drain;
mod support;
mod terminal;
mod validate;
mod validate_warnings;
