//! What a notification of a service that manages disk images is, and the contract to deliver it.
//!
//! This crate names no destination and opens none. It holds the eleven events ([`Event`]), the
//! envelope around them ([`Notification`]), what is kept back ([`Redact`]), the contract of whatever
//! delivers ([`Transport`]) and the pipeline between the two ([`Notifier`], [`Worker`]).
//!
//! Programs use the crate `glance-notify`, which adds configuration and the transports.

pub mod codec;
pub mod config;
pub mod error;
pub mod event;
pub mod pipeline;
pub mod redact;
pub mod transport;

pub use codec::{Message, Notification};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use event::{Event, EventType, Priority};
pub use pipeline::{Notifier, Worker};
pub use transport::{Batch, Transport, Verdict};
