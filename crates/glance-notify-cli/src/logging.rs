//! The log of the library and of its clients, on standard error.
//!
//! Log lines may quote a broker, so the writer escapes them. The filter keeps the client
//! libraries at WARN whatever `-v` says: below that level they log credentials.
//!
//! | flag | level of this project's crates |
//! |---|---|
//! | none | WARN |
//! | `-v` | INFO: state changes, such as a destination that recovers |
//! | `-vv` | DEBUG |
//! | `-vvv` | TRACE |

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::terminal::escape_lines;

/// Installs the subscriber that logs to standard error.
///
/// `verbose` is the number of `-v` flags: 0 logs warnings, 1 also state changes, 2
/// details, and 3 or more everything.
pub(crate) fn init(verbose: u8) {
    let format = fmt::layer().with_writer(|| EscapingWriter(io::stderr())).with_ansi(false);
    // This fails only if a subscriber exists already, and this process installs no other.
    drop(registry().with(log_filter(verbose)).with(format).try_init());
}

/// A writer that escapes control characters in each log event.
struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    /// Writes one event. The subscriber passes each event in a single call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(escape_lines(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    /// Flushes the inner writer.
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns the filter for a number of `-v` flags.
fn log_filter(verbose: u8) -> Targets {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let clients = CLIENT_TARGETS.iter().map(|client| (*client, LevelFilter::WARN));
    // The strategy `log` with `log.target = "tracing"` delivers by logging: here, to
    // standard error. These events are the result and appear at every verbosity.
    Targets::new()
        .with_default(level)
        .with_targets(clients)
        .with_target(NOTIFICATION_TARGET, LevelFilter::INFO)
}

/// The log targets of the AMQP client libraries, which log credentials below WARN.
const CLIENT_TARGETS: &[&str] = &["lapin", "amq_protocol", "fe2o3_amqp"];

/// The log target of notifications that the strategy `log` delivers as log events.
const NOTIFICATION_TARGET: &str = "glance_notify::notification";

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter as L;

    use super::*;

    /// A broker's text that a client library logs cannot control the terminal.
    #[test]
    fn log_lines_are_escaped() {
        let mut out = EscapingWriter(Vec::new());
        out.write_all(" WARN lapin: a\u{1b}[31mb\u{202e}\u{9b}\n".as_bytes()).unwrap();
        let shown = String::from_utf8(out.0).unwrap();
        assert_eq!(shown, " WARN lapin: a\\u{1b}[31mb\\u{202e}\\u{9b}\n");
    }

    /// No number of `-v` flags enables the levels at which clients log credentials.
    #[test]
    fn client_libraries_never_log_below_warn() {
        for verbose in 0..=3 {
            for client in ["lapin", "lapin::channel", "amq_protocol::auth", "fe2o3_amqp::session"] {
                let enabled = |level: L| {
                    log_filter(verbose).would_enable(client, &level.into_level().unwrap())
                };
                assert!(enabled(L::WARN) && !enabled(L::INFO) && !enabled(L::TRACE), "{client}");
            }
        }
        assert!(log_filter(3).would_enable("notify_log", &L::TRACE.into_level().unwrap()));
        assert!(log_filter(0).would_enable(NOTIFICATION_TARGET, &L::INFO.into_level().unwrap()));
    }
}
