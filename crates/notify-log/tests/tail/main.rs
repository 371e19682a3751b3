//! The source of log files through rotations, restarts and damage.

#![cfg(feature = "source")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod damage;
mod lines;
mod logrotate;
mod place;
mod rotations;
