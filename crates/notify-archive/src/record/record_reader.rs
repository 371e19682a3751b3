//! The reader of lines: [`RecordReader`].
//!
//! It reads what oslo.messaging writes, in every form that the codec reads. It keeps no line that it cannot
//! read; the caller decides.

use std::fmt;

use notify_core::codec::{NotificationInput, NotificationLine, SizeLimits};

use super::event_record::{Arrival, EventRecord};

/// A reader that turns lines into records.
///
/// # Examples
///
/// ```
/// use notify_archive::record::RecordReader;
///
/// let reader = RecordReader::new("glance-api.log");
/// let line = br#"{"event_type": "image.upload", "priority": "ERROR", "payload": "storage is full"}"#;
/// let unreadable = reader.read(line).unwrap_err();
/// assert_eq!(
///     unreadable.to_string(),
///     "no message_id, publisher_id and timestamp: the line is an event without its envelope",
/// );
/// ```
#[derive(Clone, Debug)]
pub struct RecordReader {
    limits: SizeLimits,
    arrival: Arrival,
}

/// The reason why a line is no record. It repeats no value of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord(String);

impl RecordReader {
    /// Creates a reader of the source with this name, within the default [`SizeLimits`].
    pub fn new(source: &str) -> Self {
        let arrival = Arrival { source: Some(source.into()), ..Arrival::default() };
        Self { limits: SizeLimits::default(), arrival }
    }

    /// Sets the region of the source.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.arrival.region = Some(region.into());
        self
    }

    /// Reads one line. It may be bare JSON, oslo's envelope 2.0, a CloudEvent, or a line of a log file.
    ///
    /// # Errors
    ///
    /// Returns the reason if the line is no whole notification.
    pub fn read(&self, line: &[u8]) -> Result<EventRecord, UnreadableRecord> {
        let line = NotificationLine::decode(line, &self.limits)
            .map_err(|problems| UnreadableRecord(problems.to_string()))?;
        let NotificationInput::Notification(notification) = line.input else {
            return Err(UnreadableRecord(NO_ENVELOPE.into()));
        };
        let mut record = EventRecord::new(&notification, self.arrival.clone())
            .map_err(|error| UnreadableRecord(error.to_string()))?;
        (record.context, record.sequence) = (line.context, line.sequence);
        Ok(record)
    }
}

impl UnreadableRecord {
    /// Creates the reason of a line with more bytes than the limit allows.
    pub(crate) fn too_long(length: u64, limit: usize) -> Self {
        Self(format!("the line is too large: {length} bytes, the limit is {limit} bytes"))
    }
}

impl fmt::Display for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnreadableRecord {}

/// The reason of a line that holds only an event.
const NO_ENVELOPE: &str =
    "no message_id, publisher_id and timestamp: the line is an event without its envelope";
