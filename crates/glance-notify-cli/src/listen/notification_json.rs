//! One notification as one line of JSON, with its context and its sequence.
//!
//! The keys `_context` and `_sequence` begin as those that oslo.messaging adds: readers of notifications pass
//! over such keys.

use glance_notify::Notification;
use glance_notify::codec::Sequence;
use glance_notify::uuid::Uuid;
use notify_archive::record::EventRecord;
use serde::Serialize;

use crate::context_json::ContextJson;

/// A notification with its context and its sequence, if it has them.
#[derive(Serialize)]
pub(super) struct NotificationJson<'a> {
    #[serde(flatten)]
    notification: &'a Notification,
    #[serde(rename = "_context", skip_serializing_if = "Option::is_none")]
    context: Option<ContextJson<'a>>,
    #[serde(rename = "_sequence", skip_serializing_if = "Option::is_none")]
    sequence: Option<SequenceJson<'a>>,
}

/// A sequence.
#[derive(Serialize)]
struct SequenceJson<'a> {
    epoch: Uuid,
    lane: &'a str,
    number: u64,
}

impl<'a> NotificationJson<'a> {
    /// Returns the line of a notification, whose record has context and sequence.
    pub(super) fn new(notification: &'a Notification, record: &'a EventRecord) -> Self {
        let context = ContextJson::new(&record.context);
        let sequence = record.sequence.as_ref().map(|sequence: &Sequence| SequenceJson {
            epoch: sequence.epoch(),
            lane: sequence.lane(),
            number: sequence.number(),
        });
        Self { notification, context, sequence }
    }
}

#[cfg(test)]
mod tests {
    use glance_notify::codec::{Context, NotificationInput, SizeLimits};
    use glance_notify_cli::json_output::write_json;
    use notify_archive::record::Arrival;

    use super::*;

    /// Without context and sequence the line is that of the notification alone. With both it is read again
    /// as the same notification, with every digit of its payload.
    #[test]
    fn a_line_with_context_and_sequence_is_read_again_as_the_same_notification() {
        let line = r#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h","event_type":"image.send","priority":"INFO","timestamp":"2026-11-24 12:00:00.000000","payload":{"n":1.50000000000000000001}}"#;
        let notification = Notification::decode(line.as_bytes()).unwrap();
        let shown = |record: &EventRecord| {
            let mut out = Vec::new();
            write_json(&mut out, &NotificationJson::new(&notification, record)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let mut record = EventRecord::new(&notification, Arrival::default()).unwrap();
        let mut alone = Vec::new();
        write_json(&mut alone, &notification).unwrap();
        assert_eq!(shown(&record).as_bytes(), alone);

        record.context = Context::builder().user("bob").build().unwrap();
        record.sequence = Some(Sequence::new(Uuid::from_u128(7), "notifications.info", 42));
        let with_both = shown(&record);
        let expected = r#","_context":{"user":"bob"},"_sequence":{"epoch":"00000000-0000-0000-0000-000000000007","lane":"notifications.info","number":42}}"#;
        assert!(with_both.trim_end().ends_with(expected), "{with_both}");
        let (read, warnings) =
            NotificationInput::decode_with_warnings(with_both.as_bytes(), &SizeLimits::default())
                .unwrap();
        assert_eq!(read, NotificationInput::Notification(notification));
        assert!(warnings.is_empty());
    }
}
