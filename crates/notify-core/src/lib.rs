//! What a notification of a service that manages disk images is, and the contract to deliver it.
//!
//! This crate names no destination and opens none. It holds the eleven events ([`Event`]), the
//! envelope around them ([`Notification`]), what is kept back ([`Redact`]), the contract of whatever
//! delivers ([`Transport`]) and the pipeline between the two ([`Notifier`], [`Worker`]).
//!
//! Programs use the crate `glance-notify`, which adds configuration and the transports.

mod body;
mod driver;
mod encode;
mod error;
mod ids;
mod json;
mod limits;
mod message;
mod notification;
mod options;
mod parse_time;
mod pipeline;
mod redact;
mod redacted;
mod schema;
mod seconds;
mod text;
mod transport;
mod write;

pub use driver::{Driver, Options, Origin, Origins};
pub use encode::{Encoding, Payloads};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use limits::Limits;
pub use message::Message;
pub use notification::{Input, Notification, Problems};
pub use pipeline::{
    Builder, Closing, Dropped, Notifier, Overflow, Pending, QueueConfig, Receipt, Stage,
    StageAccount, State, Stats, Worker,
};
pub use redact::Redact;
#[cfg(feature = "schema")]
pub use schema::json_schema;
pub use schema::{
    Body, DeletedImage, Event, EventType, Image, ImageSend, Payload, Priority, Problem, Status,
    Task, TaskFailure, TaskStatus, TaskSuccess, Visibility,
};
pub use seconds::Seconds;
pub use text::{Printable, printable};
pub use transport::{Batch, Finding, FindingState, Settlements, Transport, Verdict};
