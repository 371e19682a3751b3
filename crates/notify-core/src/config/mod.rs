//! Configuration of strategies: their entries, their options and durations.

mod deserializer;
pub(crate) mod driver;
pub(crate) mod driver_options;
pub(crate) mod origin;
pub(crate) mod seconds;

pub use driver::Driver;
pub use driver_options::DriverOptions;
pub use origin::{Origin, Origins};
pub use seconds::Seconds;
