//! `glance-notify schema`: prints the JSON Schema of notifications, and valid examples.
//!
//! The schema comes from the library, which derives it from the event types. The
//! examples come from `docs/samples`, with fixed ids and one fixed timestamp.
//!
//! ```text
//! $ glance-notify schema image.delete > image.delete.schema.json
//! $ glance-notify schema --example | glance-notify validate
//! glance-notify: 11 read, all valid
//! ```

use glance_notify::Notification;
use glance_notify::codec::{Encoding, NotificationInput, SizeLimits};
use glance_notify::event::{EventType, json_schema};
use glance_notify::time::{Date, Month, OffsetDateTime, Time};
use glance_notify::uuid::Uuid;

use crate::arguments::documented_event_type_parser;
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Print the JSON Schema (2020-12) of notifications, of one event type or of all.
#[derive(clap::Args)]
pub(crate) struct SchemaArgs {
    /// Event type. Without it, the output covers all event types.
    #[arg(value_parser = documented_event_type_parser())]
    event_type: Option<EventType>,

    /// Print a valid notification instead of the schema, or one of each event type, one a line.
    #[arg(long)]
    example: bool,
}

/// Prints the schema or the examples.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(crate) fn run(args: &SchemaArgs) -> Result<ExitStatus, CommandError> {
    if args.example {
        let examples = examples(args.event_type.as_ref())?;
        write_stdout(|out| out.write_all(&examples))?;
    } else {
        let schema = json_schema(args.event_type.as_ref());
        write_stdout(|out| writeln!(out, "{schema:#}"))?;
    }
    Ok(ExitStatus::Success)
}

/// Returns a notification of each event type, or of `only`, one a line.
///
/// Ids and timestamps are the same in every run, so that you can compare outputs.
fn examples(only: Option<&EventType>) -> Result<Vec<u8>, CommandError> {
    let mut out = Vec::new();
    for (number, line) in (1..).zip(SAMPLES.lines()) {
        let input = NotificationInput::decode(line.as_bytes(), &SizeLimits::default());
        let Ok(NotificationInput::Event(event)) = input else { continue };
        if only.is_some_and(|only| only != event.event_type()) {
            continue;
        }
        let example = Notification {
            message_id: Uuid::from_u128(FIRST_ID + number),
            publisher_id: "image.host1".into(),
            timestamp: TIME,
            payload: event.into(),
        };
        out.extend_from_slice(example.encode(&Encoding::default())?.body());
        out.push(b'\n');
    }
    Ok(out)
}

/// The life of one image and one task, with each event type once.
const SAMPLES: &str = include_str!("../samples/image-lifecycle.jsonl");

/// The UUID of version 4 before the id of the first example.
const FIRST_ID: u128 = 0x6b9d_4b8a_0f7c_4d2c_9a4a_0a3f_0e7d_0000;

/// The timestamp of every example.
const TIME: OffsetDateTime = match Date::from_calendar_date(2026, Month::November, 22) {
    Ok(date) => OffsetDateTime::new_utc(date, Time::MIDNIGHT),
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples cover the event types, each once, and the decoder accepts them.
    #[test]
    fn every_event_type_has_one_valid_example() {
        let all = examples(None).unwrap();
        let lines = all.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let event = |line: &[u8]| Notification::decode(line).unwrap().event_type().clone();
        let events: Vec<_> = lines.map(event).collect();
        let mut sorted = events.clone();
        sorted.sort();
        assert_eq!(sorted, EventType::DOCUMENTED);
        for event_type in EventType::DOCUMENTED {
            let one = examples(Some(event_type)).unwrap();
            assert_eq!(event(one.as_slice()), *event_type);
        }
    }
}
