//! An audit store for notifications of an image service, and the questions that it answers.
//!
//! Notifications exist "for auditing, troubleshooting, etc." This crate reads them from any sender, keeps
//! each of them once, and answers questions: the life of an image, its actors, missing outcomes, usage. It
//! makes no claim without evidence: every answer has its coverage, and the owner of an image is never
//! taken for the actor.
//!
//! ```text
//! line ──► RecordReader ──► EventRecord ──► question: add(record) … finish()
//!                                │                     ▲
//!                                ▼                     │
//!                         ArchiveWriter::append ──► Archive::read
//! ```
//!
//! # Modules
//!
//! | module | holds |
//! |---|---|
//! | [`record`] | notifications with the facts that questions ask about, and the reader of lines |
//! | [`question`] | timelines, actors, missing outcomes and reports, as functions over records |
//! | [`store`] | the archive on SQLite: writing, reading, verifying, erasing |
//! | [`service`] | the loop from a listener into the store, for programs that run for long |
//! | [`error`] | the one error type |
//!
//! # Examples
//!
//! Ask for the bytes that each project received, over the lines of a file:
//!
//! ```
//! use notify_archive::question::{Calendar, ReportGroup, ProjectNames, UsageKind, UsageReport};
//! use notify_archive::record::RecordReader;
//!
//! let lines = [br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
//!     "event_type":"image.send","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
//!     "payload":{"image_id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","bytes_sent":512,
//!     "owner_id":"web","receiver_tenant_id":"data","receiver_user_id":"bob"}}"#];
//!
//! let reader = RecordReader::new("notifications.log");
//! let mut report = UsageReport::new(UsageKind::Transfers, ReportGroup::Project, Calendar::utc());
//! for line in lines {
//!     report.add(&reader.read(line)?);
//! }
//! let answer = report.finish(&ProjectNames::default());
//! assert_eq!(answer.rows[0][0].text(), "data");
//! assert_eq!(answer.rows[0][3].text(), "512");
//! # Ok::<_, notify_archive::record::UnreadableRecord>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "store")]
pub mod error;
pub mod question;
pub mod record;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "store")]
pub mod store;
mod wire_time;

#[cfg(feature = "store")]
pub use error::{ArchiveError, ArchiveErrorKind, Result};
pub use record::EventRecord;
#[cfg(feature = "store")]
pub use store::{Archive, ArchiveWriter};
