//! From a configuration to a running notifier: opening transports and building the pipeline.
//!
//! Nothing here touches the network or the disk. Transports connect when the worker runs.

use notify_core::event::EventType;
use notify_core::pipeline::{Notifier, NotifierBuilder, Worker};
use notify_core::transport::Transport;
use notify_core::{Error, ErrorKind, Result};

use crate::config::configuration::Config;
use crate::strategies;

/// Opens the configured transport and builds a notifier with its worker.
///
/// The notifier only queues notifications. Run the worker to deliver them: with
/// `tokio::spawn(worker.run())`, or with [`Worker::spawn_thread`] in a program without a runtime.
///
/// With a table `[spool]`, the worker writes each notification to the disk and then forwards it to
/// the strategy's destination. [`Notifier::stages`] returns the accounts of both stages.
///
/// `start` touches nothing outside the process. It logs the configuration's
/// [warnings](Config::warnings).
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if an option of the strategy is unknown, missing or invalid, or if the
/// strategy is not compiled in.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "noop")]
/// # fn main() -> glance_notify::Result<()> {
/// let (notifier, worker) = glance_notify::start(&"strategy = \"noop\"".parse()?)?;
/// let thread = worker.spawn_thread()?;
/// # drop((notifier, thread));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "noop"))]
/// # fn main() {}
/// ```
pub fn start(config: &Config) -> Result<(Notifier, Worker)> {
    builder(config)?.build()
}

/// Opens the configured transport and returns the builder of its notifier.
///
/// Use this instead of [`start`] to override parts of the configuration in code.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config), as from [`start`].
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "noop")]
/// # fn main() -> glance_notify::Result<()> {
/// let config = "strategy = \"noop\"".parse()?;
/// let (notifier, _worker) =
///     glance_notify::builder(&config)?.publisher_id("image.host1").build()?;
/// # drop(notifier);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "noop"))]
/// # fn main() {}
/// ```
pub fn builder(config: &Config) -> Result<NotifierBuilder> {
    log_warnings(config);
    let destinations = config.destinations();
    let builders: Result<Vec<_>> =
        destinations.iter().map(|destination| destination_builder(destination.config())).collect();
    let joined = builders?.into_iter().reduce(NotifierBuilder::destination);
    joined.ok_or_else(|| Error::new(ErrorKind::Bug, "a configuration without a destination"))
}

impl Config {
    /// Returns the builder of a notifier on a transport of your own, with the operator's settings: the
    /// common keys, the table `[queue]`, and a spool in front of it if the configuration has `[spool]`. If it
    /// has one table `[[destination]]`, these are the settings of that destination, with its name and filter.
    ///
    /// It ignores the key `strategy` and the tables of strategies. A table of your own in the same file
    /// is an unknown key: read the options of your transport from somewhere else. Logs the warnings about the
    /// configuration, as [`builder`] does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if an option of the spool is invalid, and for
    /// several [destinations](Config::destinations): call it for one of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use glance_notify::transport::Transport;
    /// use glance_notify::{Config, Notifier, Result, Worker};
    ///
    /// fn start(config: &Config, transport: impl Transport + 'static) -> Result<(Notifier, Worker)> {
    ///     config.builder_for(transport)?.build()
    /// }
    /// ```
    pub fn builder_for(&self, transport: impl Transport + 'static) -> Result<NotifierBuilder> {
        log_warnings(self);
        builder_on(only_destination(self)?, Box::new(transport))
    }
}

/// Logs the warnings about a configuration.
fn log_warnings(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Returns the builder of one destination.
fn destination_builder(config: &Config) -> Result<NotifierBuilder> {
    builder_on(config, open(config)?)
}

/// Returns the builder of one destination with this transport.
fn builder_on(config: &Config, transport: Box<dyn Transport>) -> Result<NotifierBuilder> {
    // A transport that takes no event type, as `noop`, leaves nothing for a spool to keep.
    let other = EventType::new("other");
    let takes_events =
        EventType::DOCUMENTED.iter().chain(&other).any(|event_type| transport.wants(event_type));
    let builder = if takes_events {
        builder_with_spool(config, transport)?
    } else {
        Notifier::builder(transport)
    };
    Ok(config.apply_to(builder))
}

/// Opens the configured transport, without a notifier and without a spool.
///
/// Opening touches nothing outside the process. Use this to drive a transport yourself, for example
/// to call [`Transport::check`].
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if the strategy is not compiled in, if one of its options is unknown,
/// missing or invalid, and for several [destinations](Config::destinations): open each of them.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// let config = "strategy = \"log\"\nlog.file = \"/var/log/glance/notifications.log\"".parse()?;
/// let transport = glance_notify::transport::open(&config)?;
/// assert_eq!(transport.name(), "log");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
pub fn open(config: &Config) -> Result<Box<dyn Transport>> {
    let config = only_destination(config)?;
    let driver = strategies::driver(config.strategy())?;
    config.check_log_file()?;
    (driver.open)(config.options(driver.name))
}

/// Returns the configuration of the only destination, with or without a table of its own.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for several destinations.
fn only_destination(config: &Config) -> Result<&Config> {
    if let [only] = config.destinations().as_slice() {
        return Ok(only.config());
    }
    let message = "several destinations are configured: open the configuration of each";
    Err(Error::new(ErrorKind::Config, message))
}

/// Returns a builder on `transport`, with a spool in front of it if the configuration has `[spool]`.
#[cfg(feature = "spool")]
fn builder_with_spool(config: &Config, transport: Box<dyn Transport>) -> Result<NotifierBuilder> {
    let Some(config) = config.spool()? else { return Ok(Notifier::builder(transport)) };
    let (spool, forwarder) = notify_spool::Spool::open(config, transport)?;
    Ok(Notifier::builder(spool).behind(forwarder))
}

/// Returns a builder on `transport`, or an error if the configuration has `[spool]`.
#[cfg(not(feature = "spool"))]
fn builder_with_spool(config: &Config, transport: Box<dyn Transport>) -> Result<NotifierBuilder> {
    if config.has_spool_table() {
        return Err(Error::new(
            ErrorKind::Config,
            "`spool` is not compiled in: enable the Cargo feature `spool`",
        ));
    }
    Ok(Notifier::builder(transport))
}
