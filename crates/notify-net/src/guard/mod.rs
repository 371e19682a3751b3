//! The guard between the socket and a client library: no frame of a peer harms the process.
//!
//! The decoders of both client libraries recurse into nested values without a limit, so some kilobytes
//! from a peer could overflow the stack and end the process. A [`GuardedStream`] collects each frame,
//! walks it iteratively and passes it on only if its depth, its size and the number of its values stay
//! within limits:
//!
//! * [`amqp091`] walks the tables of AMQP 0-9-1: in `Connection.Start`, and in content headers.
//! * [`amqp10`] walks the performatives of AMQP 1.0, and messages across their frames.
//!
//! A guard for a sender ends the connection at the first harmful frame. A guard for a receiver drops
//! the harmful part of a message and marks the delivery, because the broker would deliver the same
//! message again after a reconnect.
//!
//! This module decodes no values and knows no client library.

pub mod amqp091;
pub mod amqp10;
pub mod content_header;
pub(crate) mod frame_buffer;
mod method;
mod report;
mod rules;
mod stream;
mod table_cursor;
mod value_scanner;

pub use report::GuardReport;
pub use rules::{FrameRules, MAX_DEPTH, MAX_VALUES, Passage, Violation};
pub use stream::GuardedStream;
