//! What the library logs, on standard error.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::exit::harmless;

/// Logs warnings; with `verbose` 1, 2 and 3 also what happens, details, and everything.
pub(crate) fn init(verbose: u8) {
    let format = fmt::layer().with_writer(|| Harmless(io::stderr())).with_ansi(false);
    // Fails only where there is a subscriber already, and there is none.
    drop(registry().with(targets(verbose)).with(format).try_init());
}

/// Escapes what clients of brokers log of what those said.
struct Harmless<W>(W);

impl<W: Write> Write for Harmless<W> {
    /// Writes an event: the subscriber hands over a whole one at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(harmless(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn targets(verbose: u8) -> Targets {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let capped = CLIENTS.iter().map(|client| (*client, LevelFilter::WARN));
    // The strategy `log` with `log.target = "tracing"` delivers by logging: here, to standard error.
    Targets::new()
        .with_default(level)
        .with_targets(capped)
        .with_target(DELIVERED, LevelFilter::INFO)
}

/// Clients of brokers: below WARN they log credentials, so no `-v` reaches there.
const CLIENTS: &[&str] = &["lapin", "amq_protocol", "fe2o3_amqp"];

/// The target of notifications that are delivered by logging them.
const DELIVERED: &str = "glance_notify::notification";

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter as L;

    use super::*;

    #[test]
    fn what_is_logged_is_harmless() {
        let mut out = Harmless(Vec::new());
        out.write_all(" WARN lapin: a\u{1b}[31mb\u{202e}\u{9b}\n".as_bytes()).unwrap();
        let shown = String::from_utf8(out.0).unwrap();
        assert_eq!(shown, " WARN lapin: a\\u{1b}[31mb\\u{202e}\\u{9b}\n");
    }

    #[test]
    fn no_verbosity_reaches_what_clients_of_brokers_log() {
        for verbose in 0..=3 {
            for client in ["lapin", "lapin::channel", "amq_protocol::auth", "fe2o3_amqp::session"] {
                let enabled =
                    |level: L| targets(verbose).would_enable(client, &level.into_level().unwrap());
                assert!(enabled(L::WARN) && !enabled(L::INFO) && !enabled(L::TRACE), "{client}");
            }
        }
        assert!(targets(3).would_enable("notify_log", &L::TRACE.into_level().unwrap()));
        assert!(targets(0).would_enable(DELIVERED, &L::INFO.into_level().unwrap()));
    }
}
