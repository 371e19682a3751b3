//! What the library logs, on standard error.

use std::io;

use tracing_core::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// Logs warnings; with `verbose` 1, 2 and 3 also what happens, details, and everything.
pub(crate) fn init(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let mut targets = Targets::new().with_default(level);
    for client in CLIENTS {
        targets = targets.with_target(*client, LevelFilter::WARN);
    }
    // The strategy `log` with `log.target = "tracing"` delivers by logging: here, to standard error.
    targets = targets.with_target(DELIVERED, LevelFilter::INFO);
    let format = fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Fails only where there is a subscriber already, and there is none.
    drop(registry().with(targets).with(format).try_init());
}

/// Clients of brokers: below WARN they log credentials, so no `-v` reaches there.
const CLIENTS: &[&str] = &["lapin", "amq_protocol", "fe2o3_amqp"];

/// The target of notifications that are delivered by logging them.
const DELIVERED: &str = "glance_notify::notification";
