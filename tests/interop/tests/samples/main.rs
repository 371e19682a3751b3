//! The samples of OpenStack's notifications are what their names and `tests/samples/README.md` say.
//!
//! All modules but `again` and `facts` check the samples, not the reader.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod again;
mod drivers;
mod facts;
mod files;
mod reading;
mod services;
