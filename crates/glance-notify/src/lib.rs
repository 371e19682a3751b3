//! Notifications of a service that manages disk images: typed, redacted, delivered by the strategy
//! that the operator configured.
//!
//! ```
//! # #[cfg(feature = "noop")]
//! # fn main() -> glance_notify::Result<()> {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use glance_notify::time::OffsetDateTime;
//! use glance_notify::uuid::Uuid;
//! use glance_notify::{Config, Event, Image, Payload, Status};
//!
//! let config: Config = "strategy = \"noop\"".parse()?;
//! let (notifier, worker) = glance_notify::start(&config)?;
//! let worker = worker.spawn_thread()?; // or `tokio::spawn(worker.run())`
//!
//! let mut image = Image::new(Uuid::nil(), Status::Queued, OffsetDateTime::now_utc());
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
pub mod glance_conf;
mod strategy;
#[cfg(feature = "testing")]
pub mod testing;

pub use async_trait::async_trait;
pub use config::Config;
#[cfg(feature = "schema")]
pub use notify_core::json_schema;
pub use notify_core::{
    Batch, Body, Builder, Closing, DeletedImage, Driver, Dropped, Encoding, Error, ErrorKind,
    Event, EventType, Finding, FindingState, Image, ImageSend, Input, Limits, Message,
    Notification, Notifier, Options, Origin, Origins, Outcome, Overflow, Payload, Payloads,
    Pending, Printable, Priority, Problem, Problems, QueueConfig, Receipt, Redact, Result, Seconds,
    Stage, StageAccount, State, Stats, Status, Task, TaskFailure, TaskStatus, TaskSuccess,
    Transport, Verdict, Visibility, Worker, printable,
};
#[cfg(feature = "log")]
pub use notify_log as log;
#[cfg(feature = "noop")]
pub use notify_noop as noop;
#[cfg(feature = "qpid")]
pub use notify_qpid as qpid;
#[cfg(feature = "rabbit")]
pub use notify_rabbit as rabbit;
#[cfg(feature = "spool")]
pub use notify_spool as spool;
pub use strategy::{DRIVERS, FEATURES, open};
pub use {serde_json, time, uuid};

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
pub fn builder(config: &Config) -> Result<Builder> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let transport = open(config)?;
    let wanted = EventType::ALL.iter().any(|&event_type| transport.wants(event_type));
    // What wants nothing has nothing to be kept for it.
    let builder =
        if wanted { behind_a_spool(config, transport)? } else { Notifier::builder(transport) };
    Ok(config.apply(builder))
}

/// A builder on `transport`; behind a spool, where one is configured.
#[cfg(feature = "spool")]
fn behind_a_spool(config: &Config, transport: Box<dyn Transport>) -> Result<Builder> {
    let Some(config) = config.spool()? else { return Ok(Notifier::builder(transport)) };
    let (spool, forwarder) = spool::Spool::open(config, transport)?;
    Ok(Notifier::builder(Box::new(spool)).behind(Box::new(forwarder)))
}

/// A builder on `transport`, unless there should be a spool before it.
#[cfg(not(feature = "spool"))]
fn behind_a_spool(config: &Config, transport: Box<dyn Transport>) -> Result<Builder> {
    if config.wants_spool() {
        return Err(Error::new(
            ErrorKind::Config,
            "`spool` is not compiled in: enable the Cargo feature `spool`",
        ));
    }
    Ok(Notifier::builder(transport))
}
