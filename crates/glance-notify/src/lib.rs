//! Emits the notifications of a service that manages disk images, in the format of OpenStack Glance.
//!
//! Your program emits typed events. This crate redacts secrets, encodes each event once, queues it
//! in memory and delivers it to the destination that the operator configured: a file, `RabbitMQ`, or
//! a broker that speaks AMQP 1.0. [`emit`](Notifier::emit) never blocks; a [`Receipt`] resolves to
//! the outcome. Existing consumers that use oslo.messaging read these notifications unchanged.
//!
//! ```
//! # #[cfg(feature = "noop")]
//! # fn main() -> glance_notify::Result<()> {
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use glance_notify::{Config, Event, Image, ImageStatus};
//! use glance_notify::{time::OffsetDateTime, uuid::Uuid};
//!
//! let config: Config = "strategy = \"noop\"".parse()?; // or Config::load("/etc/glance/notify.toml")
//! let (notifier, worker) = glance_notify::start(&config)?;
//! let worker = worker.spawn_thread()?; // or tokio::spawn(worker.run())
//!
//! let image = Image::new(Uuid::nil(), ImageStatus::Queued, OffsetDateTime::now_utc());
//! notifier.emit(&Event::ImageCreate(image.into())); // never blocks
//! notifier.shutdown(std::time::Duration::from_secs(10)).await; // delivers what is pending
//! # drop(worker);
//! # Ok(())
//! # })
//! # }
//! # #[cfg(not(feature = "noop"))]
//! # fn main() {}
//! ```
//!
//! [`shutdown`](Notifier::shutdown), like every method that waits, needs a tokio runtime with its timer
//! enabled. In a program without a runtime, call `notifier.close()` and then `worker.join()`.
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | describe what happened | [`Event`], [`event`] |
//! | read a configuration file, the environment, or a `glance-api.conf` | [`Config`], [`config`] |
//! | wait for delivery, count losses, stop without loss | [`Receipt`], [`Notifier`], [`Worker`], [`pipeline`] |
//! | read a stream of notifications | `listen`, with the feature `listen` |
//! | read and validate notifications | [`Notification`], [`codec`] |
//! | write a transport of your own | [`transport`] |
//! | test a program that emits | `testing`, with the feature `testing` |
//!
//! The directory `examples` of this crate holds complete programs: each strategy, the spool, an outbox
//! table, a transport of your own, and a web service. The guides in `docs` describe every configuration key, the schema, and each broker.
//!
//! # Features
//!
//! Each feature adds something; none changes or selects anything. With all of them enabled, the
//! [configuration](Config) still chooses the strategy.
//!
//! | feature | adds |
//! |---|---|
//! | `noop`, `log` (default) | the strategies of the same name |
//! | `rabbit`, `qpid` | the strategies of the same name, and an AMQP client |
//! | `tls` | `amqps://` for `rabbit` and `qpid` |
//! | `spool` | the table `[spool]`: a durable queue on the local disk in front of the strategy |
//! | `listen` | the module `listen`: a listener that reads notifications, with `log` from log files, with `rabbit` from RabbitMQ |
//! | `metrics` | the module `pipeline::metrics`: counters and gauges through the crate `metrics` |
//! | `schema` | `event::json_schema`, the JSON Schema of every event |
//! | `testing` | the module `testing`: a notifier that records, for your tests |
//! | `full` | all of the above |
//!
//! # Strategies
//!
//! | `strategy` | delivers to |
//! |---|---|
//! | `noop`, `default` | nothing; emitting costs almost nothing |
//! | `log`, `logging` | a file, as lines of JSON |
//! | `rabbit` | `RabbitMQ`, over AMQP 0-9-1 |
//! | `qpid` | Apache Qpid and other brokers, over AMQP 1.0 |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod config;
#[cfg(feature = "listen")]
pub mod listen;
pub mod pipeline;
mod start;
mod strategies;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use config::Config;
#[cfg(feature = "listen")]
#[doc(inline)]
pub use listen::listen;
pub use notify_core::event::{Event, Image, ImageStatus, Payload};
pub use notify_core::pipeline::{Notifier, Receipt, Worker};
pub use notify_core::{Error, ErrorKind, Notification, Outcome, Result};
pub use notify_core::{codec, event};
pub use start::{builder, start};
pub use {time, uuid};
