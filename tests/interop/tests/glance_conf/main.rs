//! Our reading of `glance-api.conf` against OpenStack's own: stock samples of every release, and files from
//! the field.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and print a table")]

mod comparison;
mod destination;
mod field;
mod stock;
