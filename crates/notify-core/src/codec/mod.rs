//! The codec: notifications as JSON, in both directions, within bounds.

pub(crate) mod body_pool;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod json_parser;
pub(crate) mod json_tree;
pub(crate) mod json_writer;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod notification;
pub(crate) mod payload_style;
pub(crate) mod payload_time;
pub(crate) mod problem;
pub(crate) mod timestamp;
pub(crate) mod wire_object;

pub use encode::Encoding;
pub use limits::SizeLimits;
pub use message::Message;
pub use notification::{Notification, NotificationInput};
pub use payload_style::PayloadStyle;
pub use problem::{Problem, Problems};

pub use serde_json;
