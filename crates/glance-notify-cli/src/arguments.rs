//! Value parsers that several subcommands share.
//!
//! A parser turns the text of an argument into a value, or into a message that clap
//! prints beside the name of the option. It reads no file and has no side effect. A
//! value that passes its parser is valid everywhere: no subcommand checks it again.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use glance_notify::event::{EventType, Priority};

/// Parses a number of seconds, whole or decimal, above 0 and up to [`MAX_WAIT`].
///
/// # Errors
///
/// Returns the message that clap shows if `text` is no such number.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|duration| !duration.is_zero() && *duration <= MAX_WAIT).ok_or_else(|| {
        let most = MAX_WAIT.as_secs();
        format!("expected a number of seconds above 0 and at most {most}")
    })
}

/// Returns the parser of a whole number in `range`. Its message is that of a number in the configuration.
pub(crate) fn number_in<T>(range: RangeInclusive<T>) -> impl TypedValueParser<Value = T>
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = text.parse::<T>().ok().filter(|number| range.contains(number));
        let (first, last) = (range.start(), range.end());
        number.ok_or_else(|| format!("expected a whole number from {first} to {last}"))
    }
}

/// Returns the parser of a documented event type such as `image.create`.
///
/// Help texts and shell completions list the possible values.
pub(crate) fn documented_event_type_parser() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::DOCUMENTED.iter().map(EventType::as_str))
        .try_map(|name| name.parse::<EventType>())
}

/// A parser of any event type. Shell completions offer the documented ones.
#[derive(Clone)]
pub(crate) struct EventTypeParser;

impl TypedValueParser for EventTypeParser {
    type Value = EventType;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<EventType, clap::Error> {
        let parse: fn(&str) -> Result<EventType, glance_notify::Error> = EventType::new;
        parse.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = EventType::DOCUMENTED.iter().map(EventType::as_str);
        Some(Box::new(names.map(PossibleValue::new)))
    }
}

/// Returns the parser of a priority in upper or lower case: `INFO`, `WARN`, `ERROR` and the four others
/// of oslo.messaging.
pub(crate) fn priority_parser() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(Priority::ALL.iter().map(|priority| priority.as_str()))
        .try_map(|name| name.to_ascii_uppercase().parse::<Priority>())
}

/// The longest wait that an option accepts: 366 days. It stands for "no limit".
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);
