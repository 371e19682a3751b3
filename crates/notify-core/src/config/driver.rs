//! The entry of a strategy: its name, its defaults and how to open its transport.

use super::driver_options::DriverOptions;
use crate::error::Result;
use crate::transport::Transport;

/// A strategy that can be configured: one `const` in each transport's crate.
///
/// The facade holds the table of those that are compiled in. There is no registry and no start-up
/// order.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// The strategy's name: also its Cargo feature, its table in the configuration and the end of its
    /// crate's name.
    pub name: &'static str,
    /// Other names that are accepted for it.
    pub aliases: &'static [&'static str],
    /// The options that hold where nothing else is configured, as a JSON object, for `glance-notify
    /// check` to show. Those that follow from others are left out.
    pub defaults: &'static str,
    /// Opens the transport. Touches nothing outside the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], when an option is unknown, missing or of the wrong kind.
    pub open: fn(DriverOptions) -> Result<Box<dyn Transport>>,
}
