//! Redaction: the removal of credentials, and text made safe to show.
//!
//! No credential leaves the process in a notification, an error, a log line or a file. [`Redact`] runs
//! while a notification is encoded, so before anything queues, spools, logs or sends it. [`printable`]
//! escapes text from outside before an error or a log shows it, and [`printable_path`] paths.
//!
//! The threat is real. Glance has leaked credentials of its stores in `location` (commit 7bdc4eb94)
//! and in error texts (CVE-2013-0212), and OpenStack has leaked tokens to its message queue
//! (CVE-2014-4615).

pub(crate) mod payload_place;
pub(crate) mod policy;
pub(crate) mod printable;
pub(crate) mod quote;
pub(crate) mod rules;
mod url;

pub use policy::Redact;
pub use printable::{Printable, printable};
pub use quote::printable_path;
