//! Events that were read: [`ReadEvent`], whose payload stays the JSON text that it was.

use std::fmt;

use serde_json::value::RawValue;

use super::event_type::EventType;
use super::priority::Priority;
use crate::codec::json_writer::redacted_text;

/// An event with its payload as it was read, unredacted.
///
/// Encoding writes the payload again, JSON-equal except for redaction: numbers digit by digit, keys in
/// their order, in whatever shape. `Debug` shows it without secrets.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
///
/// # fn main() -> notify_core::Result<()> {
/// let line = br#"{"event_type":"meter","priority":"sample","payload":{"b":1e2,"a":[]}}"#;
/// let input = NotificationInput::decode(line, &SizeLimits::default())?;
/// let NotificationInput::Event(event) = input else { panic!() };
/// assert_eq!(event.event_type().as_str(), "meter");
/// assert_eq!(event.payload().get(), r#"{"b":1e2,"a":[]}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReadEvent {
    event_type: EventType,
    priority: Priority,
    payload: Box<RawValue>,
}

impl ReadEvent {
    /// Creates an event from a payload that is JSON already.
    pub fn new(event_type: EventType, priority: Priority, payload: Box<RawValue>) -> Self {
        Self { event_type, priority, payload }
    }

    /// Returns the event type.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// Returns the priority.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Returns the payload as it was read, unredacted.
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// Borrows the event.
    pub(crate) fn view(&self) -> ReadEventView<'_> {
        let Self { event_type, priority, payload } = self;
        ReadEventView { event_type, priority: *priority, payload }
    }
}

/// A borrowed event with its payload as it was read.
#[derive(Clone, Copy)]
pub(crate) struct ReadEventView<'a> {
    pub(crate) event_type: &'a EventType,
    pub(crate) priority: Priority,
    pub(crate) payload: &'a RawValue,
}

/// Compares payloads as texts.
impl PartialEq for ReadEvent {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.priority == other.priority
            && self.payload.get() == other.payload.get()
    }
}

/// Shows the payload as it leaves the process: without secrets.
impl fmt::Debug for ReadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ReadEvent({} {} {})",
            self.event_type,
            self.priority,
            redacted_text(self.payload.get())
        )
    }
}
