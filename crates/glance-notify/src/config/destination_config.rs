//! `DestinationConfig`: one destination of a configuration.

use super::configuration::Config;
use super::destination_header::DestinationHeader;

/// One destination of a configuration.
///
/// # Examples
///
/// ```
/// # fn main() -> glance_notify::Result<()> {
/// let config: glance_notify::Config = r#"
///     [[destination]]
///     name = "audit"
///     strategy = "log"
///     log.file = "/var/log/glance/notifications.log"
///
///     [[destination]]
///     name = "failures"
///     strategy = "rabbit"
///     required = false
///     priorities = ["error"]
///     rabbit.url = "amqp://glance:secret@rabbit1:5672"
/// "#
/// .parse()?;
/// let destinations = config.destinations();
/// assert_eq!((destinations[1].name(), destinations[1].is_required()), ("failures", false));
/// assert_eq!(destinations[1].config().strategy(), "rabbit");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DestinationConfig<'a>(&'a Config);

impl Config {
    /// Returns the destinations: those of the tables `[[destination]]`, or the only one of the flat form.
    pub fn destinations(&self) -> Vec<DestinationConfig<'_>> {
        match self.several.as_slice() {
            [] => vec![DestinationConfig(self)],
            several => several.iter().map(DestinationConfig).collect(),
        }
    }
}

impl<'a> DestinationConfig<'a> {
    /// Returns the name; empty for the only destination of the flat form.
    pub fn name(self) -> &'a str {
        self.table().map_or("", |table| table.name.as_str())
    }

    /// Returns whether receipts wait for this destination.
    pub fn is_required(self) -> bool {
        self.table().is_none_or(|table| table.required)
    }

    /// Returns the configuration of this destination alone, as if it were the only one.
    pub fn config(self) -> &'a Config {
        self.0
    }

    /// Returns the destination's own keys.
    fn table(self) -> Option<&'a DestinationHeader> {
        self.0.place.as_ref()
    }
}
