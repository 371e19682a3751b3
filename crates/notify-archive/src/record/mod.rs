//! Records: notifications as the archive keeps them, with the facts that questions ask about.
//!
//! A record is read from one line of input or from one row of the store. This module answers no question.

pub(crate) mod audit_facts;
pub(crate) mod event_record;
pub(crate) mod image_ids;
pub(crate) mod record_lines;
pub(crate) mod record_reader;

pub use audit_facts::{AuditFacts, RequestEffect};
pub use event_record::{Arrival, EventRecord};
pub use record_lines::{RecordLine, RecordLines};
pub use record_reader::{RecordReader, UnreadableRecord};
