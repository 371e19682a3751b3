//! Redaction: no credential leaves in a notification, an error, a log line or a file.
//!
//! Redaction happens while a notification is encoded, so before it is queued, spooled, logged or
//! sent. Glance has leaked backend credentials in `location` (commit 7bdc4eb94) and in error texts
//! (CVE-2013-0212); OpenStack has leaked tokens to its message queue (CVE-2014-4615).

pub(crate) mod policy;
pub(crate) mod printable;
pub(crate) mod quote;
pub(crate) mod rules;
mod url;

pub use policy::Redact;
pub use printable::{Printable, printable};
