//! The log of the library and of its clients, on standard error.
//!
//! The filter keeps the client libraries at warnings whatever you ask for: below that level they log
//! credentials.
//!
//! | option | shows of this project's crates |
//! |---|---|
//! | `-q` | errors |
//! | none | warnings |
//! | `-v` | state changes, such as a connection or a destination that recovers |
//! | `-vv`, `-vvv` | details, everything |
//!
//! Without `-q` and `-v`, `RUST_LOG` chooses: `debug`, or `notify_rabbit=debug,notify_spool=trace`.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::console::LogFormat;
use crate::held_log;
use crate::log_line::{Level, LogLine};
use crate::progress::write_beside_progress;

/// Installs the subscriber that logs to standard error.
///
/// `rust_log` is the text of `RUST_LOG`; it counts without `-q` and `-v`. Returns `false` if it is not a
/// list of targets and levels, which are then ignored.
pub(crate) fn init(verbose: u8, quiet: bool, rust_log: Option<&str>, format: LogFormat) -> bool {
    let parsed = rust_log.filter(|text| !text.is_empty()).map(str::parse::<Targets>);
    let is_valid = !matches!(parsed, Some(Err(_)));
    let targets = match (quiet, verbose, parsed) {
        (true, ..) => Targets::new().with_default(LevelFilter::ERROR),
        (_, 0, Some(Ok(targets))) => targets,
        (_, 0, _) => Targets::new().with_default(LevelFilter::WARN),
        (_, 1, _) => Targets::new().with_default(LevelFilter::INFO),
        (_, 2, _) => Targets::new().with_default(LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    // This fails only if a subscriber exists already, and this process installs no other.
    drop(registry().with(safe_filter(&targets)).with(StderrLayer { format }).try_init());
    is_valid
}

/// A layer that writes each event as one line.
struct StderrLayer {
    format: LogFormat,
}

impl<S: Subscriber> Layer<S> for StderrLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let level = level_of(*event.metadata().level());
        let line = LogLine {
            level,
            message: &fields.message,
            target: Some(event.metadata().target()),
            fields: &fields.others,
        };
        let text = match self.format {
            LogFormat::Text => line.event_text(),
            LogFormat::Json => line.json(),
        };
        let is_problem = matches!(level, Level::Error | Level::Warning);
        if is_problem && line.target != Some(NOTIFICATION_TARGET) {
            held_log::write_problem(text, fields.message);
        } else {
            write_beside_progress(text.as_bytes());
        }
    }
}

/// The text and the other fields of one event.
#[derive(Default)]
struct EventFields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.others.push((name, format!("{value:?}"))),
        }
    }
}

/// Adds the bounds that hold at every verbosity.
fn safe_filter(targets: &Targets) -> Targets {
    // The strategy `log` with `log.target = "tracing"` delivers by logging: here, to standard error.
    // These events are the result and appear at every verbosity.
    let mut bounded = Targets::new().with_target(NOTIFICATION_TARGET, LevelFilter::TRACE);
    if let Some(level) = targets.default_level() {
        bounded = bounded.with_default(level);
    }
    for (target, level) in targets {
        let is_client = CLIENT_TARGETS.iter().any(|client| target.starts_with(client));
        let level = if is_client { level.min(LevelFilter::WARN) } else { level };
        bounded = bounded.with_target(target, level);
    }
    for client in CLIENT_TARGETS {
        let level = targets.default_level().unwrap_or(LevelFilter::OFF).min(LevelFilter::WARN);
        bounded = bounded.with_target(*client, level);
    }
    bounded
}

/// Returns the level of a line for the level of an event.
fn level_of(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warning,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// The log targets of the AMQP client libraries, which log credentials below WARN.
const CLIENT_TARGETS: &[&str] = &["lapin", "amq_protocol", "fe2o3_amqp"];

/// The log target of notifications that the strategy `log` delivers as log events.
const NOTIFICATION_TARGET: &str = "glance_notify::notification";

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter as L;

    use super::*;

    /// No option enables the levels at which clients log credentials, and neither does `RUST_LOG`.
    #[test]
    fn client_libraries_never_log_below_warn() {
        for filter in
            ["trace", "lapin=trace", "trace,lapin::channel=trace,fe2o3_amqp=debug", "debug"]
        {
            let filter = safe_filter(&filter.parse().unwrap());
            for client in ["lapin", "lapin::channel", "amq_protocol::auth", "fe2o3_amqp::session"] {
                let enabled = |level: L| filter.would_enable(client, &level.into_level().unwrap());
                assert!(!enabled(L::INFO) && !enabled(L::TRACE), "{filter}: {client}");
            }
            assert!(filter.would_enable(NOTIFICATION_TARGET, &L::INFO.into_level().unwrap()));
        }
        let filter = safe_filter(&"info".parse().unwrap());
        assert!(filter.would_enable("lapin", &L::WARN.into_level().unwrap()));
        assert!(filter.would_enable("notify_log", &L::INFO.into_level().unwrap()));
    }
}
