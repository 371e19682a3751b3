//! The samples of OpenStack's notifications are what their names and `tests/samples/README.md` say.
//!
//! These tests check the samples, not the reader: tests of the codec rely on them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod drivers;
mod files;
mod reading;
mod services;
