//! `glance-notify schema`: the JSON Schema of notifications, and valid examples.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use glance_notify::Notification;
use glance_notify::codec::{Encoding, NotificationInput, SizeLimits};
use glance_notify::event::{EventType, json_schema};
use glance_notify::time::{Date, Month, OffsetDateTime, Time};
use glance_notify::uuid::Uuid;

use crate::exit::{Exit, Failure, print};

/// Print the JSON Schema (2020-12) of one event's notifications, or of all.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The event; all where none is given.
    #[arg(value_parser = event_type())]
    event_type: Option<EventType>,

    /// Print a valid notification instead; of each event where none is given, one a line.
    #[arg(long)]
    example: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.example {
        let examples = examples(args.event_type)?;
        print(|out| out.write_all(&examples))?;
    } else {
        let schema = json_schema(args.event_type);
        print(|out| writeln!(out, "{schema:#}"))?;
    }
    Ok(Exit::Done)
}

/// Takes the name of an event type.
pub(crate) fn event_type() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::ALL.iter().map(|event| event.as_str()))
        .try_map(|name| name.parse::<EventType>())
}

fn examples(only: Option<EventType>) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    for (number, line) in (1..).zip(SAMPLES.lines()) {
        let input = NotificationInput::read(line.as_bytes(), &SizeLimits::default());
        let Ok(NotificationInput::Body(body)) = input else { continue };
        if only.is_some_and(|only| only != body.event_type()) {
            continue;
        }
        let example = Notification {
            message_id: Uuid::from_u128(ID + number),
            publisher_id: "image.host1".into(),
            timestamp: TIME,
            body,
        };
        out.extend_from_slice(example.encode(&Encoding::default())?.body());
        out.push(b'\n');
    }
    Ok(out)
}

/// A life of one image and one task: every event once.
const SAMPLES: &str = include_str!("../../../docs/samples/image-lifecycle.jsonl");

/// Where the examples' ids begin: of version 4, and the same each time.
const ID: u128 = 0x6b9d_4b8a_0f7c_4d2c_9a4a_0a3f_0e7d_0000;

const TIME: OffsetDateTime = match Date::from_calendar_date(2026, Month::November, 22) {
    Ok(date) => OffsetDateTime::new_utc(date, Time::MIDNIGHT),
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_one_example_that_reads() {
        let all = examples(None).unwrap();
        let lines = all.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let events: Vec<_> =
            lines.map(|line| Notification::from_json(line).unwrap().body.event_type()).collect();
        let mut sorted = events.clone();
        sorted.sort();
        assert_eq!(sorted, EventType::ALL);
        for &event in EventType::ALL {
            let one = examples(Some(event)).unwrap();
            assert_eq!(Notification::from_json(&one).unwrap().body.event_type(), event);
        }
    }
}
