//! The core of Glance-style notifications: typed events, their encoding, and the pipeline that
//! delivers them.
//!
//! An image service emits a notification when an image or a task changes: `image.create`,
//! `image.upload`, `task.failure`. This crate defines those events, writes them as the JSON that
//! consumers of OpenStack's notifications read, and hands them to a [`Transport`]. It names no backend
//! and opens no connection itself.
//!
//! Most programs use the crate `glance-notify`, which adds the configuration and the transports. Use
//! this crate to write a transport of your own, or to read and write notifications without sending
//! them.
//!
//! # Bird's-eye view
//!
//! ```text
//! Event ── Notifier::emit ──► queue ──► Worker ──► Transport::send(&mut Batch)
//!               │ encode,                               │
//!               │ redact                                │ Verdict, message by message
//!               └────────────── Receipt ◄───────────────┘
//! ```
//!
//! 1. You build an [`Event`]: an event type with its payload.
//! 2. [`Notifier::emit`] gives it an id and a time, encodes and redacts it, and puts the [`Message`]
//!    into a bounded queue. It never blocks.
//! 3. The [`Worker`] takes a [`Batch`] from the queue and calls [`Transport::send`].
//! 4. The transport settles each message with a [`Verdict`]: accept, retry or refuse. The worker
//!    retries, counts, and resolves the receipt that `emit` returned.
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | event types, priorities, the documented payloads, and their JSON Schema |
//! | [`codec`] | notifications and messages as JSON, read and written within limits |
//! | [`redact`] | the removal of credentials, and text made safe for a terminal |
//! | [`pipeline`] | the notifier, its queue, the worker, receipts and counters |
//! | [`transport`] | the contract of the code that delivers |
//! | [`listener`] | the listener, deliveries and their settlement |
//! | [`source`] | the contract of the code that reads |
//! | [`config`] | the options of a strategy, and where each of them was set |
//! | [`error`] | the one error type, its kinds and outcomes |
//!
//! # Examples
//!
//! Encode an event without sending it:
//!
//! ```
//! use notify_core::codec::Encoding;
//! use notify_core::event::{Image, ImageStatus};
//! use notify_core::{Event, Notification};
//! use time::OffsetDateTime;
//! use uuid::Uuid;
//!
//! # fn main() -> notify_core::Result<()> {
//! let now = OffsetDateTime::now_utc();
//! let image_id = Uuid::from_u128(0xc80a1a6c_bd1f_41c5_90ee_81afedb1d58d);
//! let mut image = Image::new(image_id, ImageStatus::Queued, now);
//! image.name = Some("debian-12".into());
//!
//! let notification = Notification {
//!     message_id: Uuid::from_u128(1),
//!     publisher_id: "image.host1".into(),
//!     timestamp: now,
//!     payload: Event::ImageCreate(image.into()).into(),
//! };
//! let message = notification.encode(&Encoding::default())?;
//! assert!(message.body().starts_with(br#"{"message_id":"#));
//! # Ok(())
//! # }
//! ```
//!
//! [`Transport`] shows a complete transport, and [`Notifier`] how to emit through it.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod codec;
pub mod config;
pub mod error;
pub mod event;
pub mod listener;
pub mod pipeline;
pub mod redact;
pub mod source;
pub mod transport;

pub use codec::{Context, Message, Notification};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use event::{Event, EventType, Priority};
pub use pipeline::{Notifier, Worker};
pub use transport::{Batch, Transport, Verdict};
