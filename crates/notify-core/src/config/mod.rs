//! The configuration of strategies: their drivers, their options and durations.
//!
//! A [`Driver`] describes one strategy. Its `open` function turns [`DriverOptions`] into a transport.
//! This module knows no strategy by name, reads no file and no environment variable: the facade
//! `glance-notify` merges those and passes on the result, with the [`Origin`] of every value.

mod deserializer;
pub(crate) mod driver;
pub(crate) mod driver_options;
pub(crate) mod origin;
pub(crate) mod seconds;

pub use driver::Driver;
pub use driver_options::{DriverOptions, table_values};
pub use origin::{Origin, Origins};
pub use seconds::Seconds;
