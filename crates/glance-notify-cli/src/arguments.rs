//! Value parsers that several subcommands share.
//!
//! A parser turns the text of an argument into a value, or into a message that clap
//! prints beside the name of the option. It reads no file and has no side effect. A
//! value that passes its parser is valid everywhere: no subcommand checks it again.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use glance_notify::event::{EventType, Priority};

/// Parses a number of seconds, whole or decimal, above 0 and up to [`MAX_WAIT`].
///
/// # Errors
///
/// Returns the message that clap shows if `text` is no such number.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|duration| !duration.is_zero() && *duration <= MAX_WAIT)
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

/// Returns the parser of an event type such as `image.create`.
///
/// Help texts and shell completions list the possible values.
pub(crate) fn event_type_parser() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::ALL.iter().map(|event| event.as_str()))
        .try_map(|name| name.parse::<EventType>())
}

/// Returns the parser of a priority in upper or lower case: `INFO`, `WARN` or `ERROR`.
pub(crate) fn priority_parser() -> impl TypedValueParser<Value = Priority> {
    PossibleValuesParser::new(Priority::ALL.iter().map(|priority| priority.as_str()))
        .try_map(|name| name.to_ascii_uppercase().parse::<Priority>())
}

/// The longest wait that an option accepts: 366 days. It stands for "no limit".
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 60 * 60);
