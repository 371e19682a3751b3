//! The entry of a strategy: its name, its default options and how to open its transport.

use super::driver_options::DriverOptions;
use crate::error::Result;
use crate::transport::Transport;

/// A strategy that users can configure. Each transport's crate exports one as a constant.
///
/// The facade holds a table of the drivers that are compiled in. There is no registry and no
/// start-up order, so a configuration names no strategy of your own: give its transport to the facade's
/// `Config::builder_for`.
///
/// # Examples
///
/// ```
/// use notify_core::config::{Driver, DriverOptions};
/// use notify_core::transport::async_trait;
/// use notify_core::{Batch, EventType, Result, Transport, Verdict};
/// use serde::Deserialize;
///
/// pub const DRIVER: Driver = Driver {
///     name: "null",
///     aliases: &[],
///     defaults: r#"{"verbose": false}"#,
///     open,
/// };
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct NullOptions {
///     #[serde(default)]
///     verbose: bool,
/// }
///
/// fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
///     let NullOptions { verbose } = options.parse()?;
///     Ok(Box::new(NullTransport { verbose }))
/// }
///
/// #[derive(Debug)]
/// struct NullTransport {
///     verbose: bool,
/// }
/// # #[async_trait]
/// # impl Transport for NullTransport {
/// #     fn name(&self) -> &'static str { DRIVER.name }
/// #     fn wants(&self, _: &EventType) -> bool { self.verbose }
/// #     async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
/// #         batch.settle_rest(&Verdict::Accept);
/// #         Ok(())
/// #     }
/// #     async fn close(&mut self) -> Result<()> { Ok(()) }
/// # }
///
/// let transport = (DRIVER.open)(DriverOptions::default())?;
/// assert_eq!(transport.name(), "null");
/// # Ok::<_, notify_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// The name of the strategy. Its Cargo feature and its table in the configuration have the same
    /// name, and the name of its crate ends with it.
    pub name: &'static str,
    /// Other names that the configuration accepts for this strategy.
    pub aliases: &'static [&'static str],
    /// The default options as a JSON object. `glance-notify check` shows them.
    ///
    /// Options whose default depends on other options are absent.
    pub defaults: &'static str,
    /// Opens the transport without touching anything outside the process.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ErrorKind::Config`](crate::ErrorKind::Config) if an option is
    /// unknown, missing or of the wrong type.
    pub open: fn(DriverOptions) -> Result<Box<dyn Transport>>,
}
