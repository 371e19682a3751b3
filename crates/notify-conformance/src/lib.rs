//! The contract of a notification transport as named tests, and what they run on.
//!
//! For tests only: never a normal dependency.

pub mod broker;
