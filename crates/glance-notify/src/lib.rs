//! Notifications of a service that manages disk images: typed, redacted, delivered by the strategy
//! that the operator configured.
//!
//! ```
//! # #[cfg(feature = "noop")]
//! # fn main() -> glance_notify::Result<()> {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use glance_notify::time::OffsetDateTime;
//! use glance_notify::uuid::Uuid;
//! use glance_notify::{Config, Event, Image, ImageStatus, Payload};
//!
//! let config: Config = "strategy = \"noop\"".parse()?;
//! let (notifier, worker) = glance_notify::start(&config)?;
//! let worker = worker.spawn_thread()?; // or `tokio::spawn(worker.run())`
//!
//! let mut image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::now_utc());
//! image.name = Some("debian-12".into());
//! notifier.emit(&Event::ImageCreate(image.into())); // never blocks; returns a receipt
//! notifier.emit(&Event::ImageUpload(Payload::Error("storage is full".into())));
//!
//! notifier.shutdown(std::time::Duration::from_secs(10)).await;
//! # drop(worker);
//! # Ok(())
//! # })
//! # }
//! # #[cfg(not(feature = "noop"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! `noop` and `log` are on by default. A feature adds a strategy, under its own name, and chooses
//! none: with all of them on, the [configuration](Config) still decides. `schema` adds
//! `json_schema`, `testing` adds the module `testing`; `full` is all of them. `spool` adds the table
//! `[spool]`: notifications are kept on the disk until the strategy has delivered them.
//!
//! # Strategies
//!
//! | `strategy` | delivers to |
//! |---|---|
//! | `noop`, `default` | nothing; emitting costs nothing |
//! | `log`, `logging` | lines of JSON in a file |
//! | `rabbit` | `RabbitMQ`, by AMQP 0-9-1 |
//! | `qpid` | Apache Qpid and others, by AMQP 1.0 |
//!
//! A transport of one's own implements [`Transport`] and is given to [`Notifier::builder`].

pub mod config;
mod strategy;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use config::Config;
pub use notify_core::event::{Event, Image, ImageStatus, Payload};
pub use notify_core::pipeline::{Notifier, Receipt, Worker};
pub use notify_core::{Error, ErrorKind, Notification, Outcome, Result};
pub use notify_core::{codec, event, pipeline};
pub use {time, uuid};

use pipeline::NotifierBuilder;

/// Opens the configured transport, and builds a notifier on it and the worker that delivers. With
/// `[spool]`, notifications are delivered once they are on the disk, and the worker takes them on from
/// there: [`Notifier::stages`] has the account of both.
///
/// Nothing is delivered until the worker runs. Nothing outside the process is touched before the
/// first notification. What the configuration warns of is logged.
///
/// # Errors
///
/// [`ErrorKind::Config`], when the configuration cannot work as it is written, or names a strategy
/// that is not compiled in.
pub fn start(config: &Config) -> Result<(Notifier, Worker)> {
    builder(config)?.build()
}

/// Like [`start`], for a program that wants to change something before it builds.
///
/// # Errors
///
/// As those of [`start`].
pub fn builder(config: &Config) -> Result<NotifierBuilder> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let transport = transport::open(config)?;
    let wanted = event::EventType::ALL.iter().any(|&event_type| transport.wants(event_type));
    // What wants nothing has nothing to be kept for it.
    let builder =
        if wanted { behind_a_spool(config, transport)? } else { Notifier::builder(transport) };
    Ok(config.apply(builder))
}

/// A builder on `transport`; behind a spool, where one is configured.
#[cfg(feature = "spool")]
fn behind_a_spool(
    config: &Config,
    transport: Box<dyn transport::Transport>,
) -> Result<NotifierBuilder> {
    let Some(config) = config.spool()? else { return Ok(Notifier::builder(transport)) };
    let (spool, forwarder) = transport::spool::Spool::open(config, transport)?;
    Ok(Notifier::builder(spool).behind(forwarder))
}

/// A builder on `transport`, unless there should be a spool before it.
#[cfg(not(feature = "spool"))]
fn behind_a_spool(
    config: &Config,
    transport: Box<dyn transport::Transport>,
) -> Result<NotifierBuilder> {
    if config.wants_spool() {
        return Err(Error::new(
            ErrorKind::Config,
            "`spool` is not compiled in: enable the Cargo feature `spool`",
        ));
    }
    Ok(Notifier::builder(transport))
}
