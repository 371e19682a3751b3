//! The codec: notifications as JSON, in both directions, within bounds.

pub(crate) mod body_pool;
pub(crate) mod encode;
pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod notification;
pub(crate) mod payload_style;
pub(crate) mod problem;
pub(crate) mod redacted;
pub(crate) mod timestamp;
pub(crate) mod writer;

pub use encode::Encoding;
pub use limits::SizeLimits;
pub use message::Message;
pub use notification::{Notification, NotificationInput};
pub use payload_style::PayloadStyle;
pub use problem::{Problem, Problems};

pub use serde_json;
