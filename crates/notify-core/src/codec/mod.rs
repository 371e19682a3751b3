//! The codec: notifications as JSON, read and written within limits.
//!
//! * [`Notification::encode`] writes a notification once, redacted, as a [`Message`]. All transports
//!   carry its bytes unchanged.
//! * [`Envelope`] wraps a message for a broker or a log: as it is, as oslo.messaging does, or as a
//!   [`CloudEvent`].
//! * [`NotificationInput::decode`] reads a line from any sender: bare JSON, oslo's envelope 2.0, a CloudEvent,
//!   or a line of a log file. It accepts every shape that Glance has sent, and reports every problem at its
//!   JSON pointer. [`NotificationLine::decode`] also reads the context and the sequence on the line.
//!
//! Both directions enforce [`SizeLimits`], because both handle data from outside. The codec opens no
//! file and no connection.

mod attributes;
pub(crate) mod body_pool;
pub(crate) mod byte_scan;
mod cloud_event;
mod cloud_event_headers;
mod cloud_event_input;
pub(crate) mod context;
mod decode;
pub(crate) mod encode;
mod envelope;
mod headers;
pub(crate) mod input_form;
pub(crate) mod json_parser;
mod json_serializer;
pub(crate) mod json_tokens;
pub(crate) mod json_writer;
pub(crate) mod limits;
mod line_filter;
mod log_prefix;
mod lossy_json;
pub(crate) mod message;
pub(crate) mod notification;
pub(crate) mod notification_input;
mod notification_wire;
pub(crate) mod payload_style;
pub(crate) mod payload_time;
pub(crate) mod problem;
pub(crate) mod sequence;
pub(crate) mod timestamp;
mod trace_context;
pub(crate) mod wire_text;

pub use cloud_event::CloudEvent;
pub use context::{Context, ContextBuilder};
#[doc(hidden)]
pub use decode::notification_json;
pub use encode::Encoding;
pub use envelope::Envelope;
pub use headers::HeaderValue;
pub use limits::SizeLimits;
pub use line_filter::LineFilter;
#[doc(hidden)]
pub use lossy_json::parse_lossy;
pub use message::Message;
pub use notification::Notification;
pub use notification_input::{NotificationInput, NotificationLine};
pub use payload_style::PayloadStyle;
pub use problem::{Problem, Problems};
pub use sequence::Sequence;

/// The JSON library whose `Value` and `Map` occur in this crate's types.
pub use serde_json;
