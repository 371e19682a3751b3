//! What the library logs, on standard error.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// Logs warnings; with `verbose` 1, 2 and 3 also what happens, details, and everything.
pub(crate) fn init(verbose: u8) {
    let format = fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Fails only where there is a subscriber already, and there is none.
    drop(registry().with(targets(verbose)).with(format).try_init());
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
