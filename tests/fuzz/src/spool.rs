//! The content of a spool: records of messages, and dead letters.

use glance_notify::Notification;
use glance_notify::codec::Message;

use crate::checks::{assert_printable, check_error};

/// Checks the input as a row of the spool's database, and as the message in one.
pub fn spool(bytes: &[u8]) {
    notify_spool::fuzz_records(bytes);
    let message = match Message::from_body(bytes.to_vec()) {
        Ok(message) => message,
        Err(error) => return check_error(&error),
    };
    assert_eq!(message.body(), bytes);
    assert_printable(&String::from_utf8_lossy(bytes));
    assert_printable(&format!("{message:?}"));
    // The attributes of the message equal those of the whole notification.
    if let Ok(notification) = Notification::decode(bytes) {
        assert_eq!(message.id(), notification.message_id);
        assert_eq!(message.event_type(), notification.event_type());
        assert_eq!(message.priority(), notification.priority());
        assert_eq!(message.publisher_id(), &*notification.publisher_id);
        assert_eq!(message.timestamp(), notification.timestamp);
    }
}
