//! The arguments of `glance-notify emit`, and the input that they choose.
//!
//! clap derives the help, the usage errors and the shell completions from [`EmitArgs`]:
//! the documentation of each field is the help text of its option.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use glance_notify::codec::SizeLimits;
use glance_notify::codec::serde_json::{self, json};
use glance_notify::event::{EventType, Priority};
use serde::de::IgnoredAny;

use crate::arguments::{EventTypeParser, parse_seconds, priority_parser};
use crate::exit_status::{CommandError, ExitStatus};
use crate::file_identity::FileIdentity;
use crate::input_source::{InputSource, display_path, read_error};
use crate::output_format::TextOrJson;

/// Deliver notifications with the configured strategy.
///
/// Fast input never causes drops: the command reads only as fast as the destination accepts. Ctrl-C
/// and SIGTERM stop the reading; the notifications read so far then have `queue.drain_timeout`
/// seconds to arrive. A second signal gives up at once.
///
/// The summary goes to standard error, and with `-o json` to standard output as one JSON object with all
/// counters of the destination.
#[derive(clap::Args)]
pub(crate) struct EmitArgs {
    /// File of notifications, one JSON object a line: `{"event_type", "priority", "payload"}`, or a
    /// whole notification, which keeps its id, publisher and timestamp. Without it, or with `-`, the
    /// command reads standard input.
    #[arg(conflicts_with = "event")]
    pub(super) input: Option<PathBuf>,

    /// Emit a single notification of this event type instead of reading input.
    #[arg(long, value_name = "EVENT_TYPE", value_parser = EventTypeParser)]
    #[arg(requires = "payload")]
    pub(super) event: Option<EventType>,

    /// Priority of the notification that `--event` emits.
    #[arg(long, requires = "event", value_parser = priority_parser(), ignore_case = true)]
    #[arg(conflicts_with = "input", default_value = "INFO")]
    pub(super) priority: Priority,

    /// Payload of the notification that `--event` emits: JSON, or @ and the name of a JSON file.
    #[arg(long, requires = "event", conflicts_with = "input", value_name = "JSON|@FILE")]
    pub(super) payload: Option<String>,

    /// Append the id of each notification to this file as soon as it is delivered, one a line; `-` is
    /// standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) acks: Option<PathBuf>,

    /// Append undelivered notifications to this file, ready for another `emit`.
    #[arg(long, value_name = "FILE")]
    pub(super) failed: Option<PathBuf>,

    /// Append invalid lines to this file, as they were read, and continue as with `--skip-invalid`.
    #[arg(long, value_name = "FILE")]
    pub(super) rejected: Option<PathBuf>,

    /// Report invalid lines and continue, instead of stopping at the first.
    #[arg(long)]
    pub(super) skip_invalid: bool,

    #[command(flatten)]
    pub(super) output: TextOrJson,

    /// Give up after this many seconds without a delivery.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_seconds)]
    pub(super) timeout: Duration,
}

impl EmitArgs {
    /// Returns whether the command continues after an invalid line.
    pub(super) fn skips_invalid(&self) -> bool {
        self.skip_invalid || self.rejected.is_some()
    }

    /// Returns the file that the command reads, if the input is a regular one.
    pub(super) fn input_file(&self) -> Option<FileIdentity> {
        // `--event` leaves standard input alone.
        if self.event.is_some() { None } else { FileIdentity::of_input(self.input.as_deref()) }
    }

    /// Opens the input: the file, standard input, or the notification of `--event`.
    ///
    /// A notification of `--event` becomes one line of input, so that it passes through
    /// the same decoder and the same checks as a line of a file.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read, or if the payload is not JSON.
    pub(super) fn open_input(&self) -> Result<InputSource, CommandError> {
        let (Some(event), Some(payload)) = (&self.event, &self.payload) else {
            return InputSource::open(self.input.as_ref());
        };
        let payload = match payload.strip_prefix('@') {
            None => payload.clone(),
            Some(path) => read_payload_file(Path::new(path))?,
        };
        // Check that the text is exactly one JSON value, and then keep it as you wrote it:
        // otherwise `1,"message_id":2` would add an attribute.
        let parsed: Result<IgnoredAny, _> = serde_json::from_str(&payload);
        parsed.map_err(|error| {
            CommandError::new(
                ExitStatus::InvalidInput,
                format!(
                    "--payload: not JSON: {} (put a string in double quotes)",
                    in_words(&error)
                ),
            )
        })?;
        let line = format!(
            "{{\"event_type\":{},\"priority\":{},\"payload\":{}}}",
            json!(event),
            json!(self.priority),
            payload.replace(['\n', '\r'], " "),
        );
        Ok(InputSource {
            name: "--payload".to_owned(),
            reader: Box::new(Cursor::new(line)),
            size: None,
            is_file: true,
        })
    }
}

/// Describes a syntax error and its position, as the decoder of lines does.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let Some((cause, position)) = text.rsplit_once(" at line ") else { return text };
    let cause = match cause {
        "expected ident" | "expected value" => "unexpected character",
        _ if error.is_eof() => "unexpected end of input",
        cause => cause,
    };
    format!("{cause} at line {position}")
}

/// Reads the file of a payload, which may be as large as a notification.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is larger.
fn read_payload_file(path: &Path) -> Result<String, CommandError> {
    let InputSource { name, reader, .. } = InputSource::open(Some(&path.to_path_buf()))?;
    let limit = SizeLimits::default().bytes as u64;
    let mut text = String::new();
    let read = reader.take(limit + 1).read_to_string(&mut text);
    read.map_err(|error| read_error(&name, &error))?;
    if text.len() as u64 > limit {
        let name = display_path(path);
        return Err(CommandError::new(
            ExitStatus::InvalidInput,
            format!("`{name}` is too large: a payload has at most {limit} bytes"),
        ));
    }
    Ok(text)
}
