//! One line on standard error, as text or as JSON: a message of the command, or an event of the log.
//!
//! With `--log-format json`, every line on standard error is a JSON object, so that a collector of logs
//! needs one parser.
//!
//! | form | example |
//! |---|---|
//! | text, a message | ``glance-notify: cannot read `in.jsonl`: Permission denied`` |
//! | text, a log event | ``2026-11-22T12:00:31Z warning: `rabbit`: delivery failed, retrying: …`` |
//! | JSON | `{"time":"2026-11-22T12:00:31Z","level":"warning","message":"…"}` |

use glance_notify::time::OffsetDateTime;
use glance_notify::transport::printable;
use glance_notify_cli::json_output::write_json;
use notify_archive::question::Calendar;
use serde::Serialize;
use serde::ser::SerializeMap;

use crate::console::{Stream, Tone, paint};

/// The weight of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Info,
    Debug,
    Trace,
}

/// A line for standard error.
pub(crate) struct LogLine<'a> {
    pub(crate) level: Level,
    /// The text, not escaped yet.
    pub(crate) message: &'a str,
    /// The name of the program's part, for JSON. Texts do not show it.
    pub(crate) target: Option<&'a str>,
    /// Further fields of a log event.
    pub(crate) fields: &'a [(&'static str, String)],
}

impl Level {
    /// Returns the name of the level in both forms.
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// Returns the colour of the level.
    fn tone(self) -> Option<Tone> {
        match self {
            Self::Error => Some(Tone::Bad),
            Self::Warning => Some(Tone::Warning),
            Self::Info => None,
            Self::Debug | Self::Trace => Some(Tone::Faint),
        }
    }
}

impl LogLine<'_> {
    /// Returns the line of a message of the command itself, with its line break.
    pub(crate) fn message_text(&self) -> String {
        let name = paint(Stream::Stderr, self.level.tone(), "glance-notify:");
        format!("{name} {}\n", printable(self.message, usize::MAX))
    }

    /// Returns the line of a log event, with its line break.
    pub(crate) fn event_text(&self) -> String {
        let time = paint(Stream::Stderr, Some(Tone::Faint), now());
        let level =
            paint(Stream::Stderr, self.level.tone(), format_args!("{}:", self.level.name()));
        let fields = self.fields.iter().map(|(name, value)| {
            let value = printable(value, usize::MAX);
            format!(" {name}={value}")
        });
        let fields: String = fields.collect();
        format!("{time} {level} {}{fields}\n", printable(self.message, usize::MAX))
    }

    /// Returns the line as a JSON object in ASCII, with its line break.
    pub(crate) fn json(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory cannot fail.
        drop(write_json(&mut out, self));
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl Serialize for LogLine<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &now())?;
        map.serialize_entry("level", self.level.name())?;
        map.serialize_entry("message", self.message)?;
        if let Some(target) = self.target {
            map.serialize_entry("target", target)?;
        }
        if !self.fields.is_empty() {
            map.serialize_entry("fields", &FieldMap(self.fields))?;
        }
        map.end()
    }
}

/// The fields of a log event as a JSON object.
struct FieldMap<'a>(&'a [(&'static str, String)]);

impl Serialize for FieldMap<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Returns the time of a line: UTC, to the second.
fn now() -> String {
    Calendar::utc().shown(OffsetDateTime::now_utc())
}
