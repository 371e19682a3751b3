//! The table of strategies: their names, the drivers that are compiled in, and the Cargo features.
//!
//! This file must not know the configuration: `start` reads a [`Config`](crate::Config) and looks up
//! its driver here.

use notify_core::config::Driver;
use notify_core::{Error, ErrorKind, Result};

/// The drivers of all strategies that are compiled in, in alphabetical order.
///
/// ```
/// # #[cfg(feature = "log")] {
/// use glance_notify::transport::DRIVERS;
///
/// let log = DRIVERS.iter().find(|driver| driver.name == "log").unwrap();
/// assert_eq!(log.aliases, ["logging"]);
/// # }
/// ```
pub const DRIVERS: &[Driver] = &[
    #[cfg(feature = "log")]
    notify_log::DRIVER,
    #[cfg(feature = "noop")]
    notify_noop::DRIVER,
    #[cfg(feature = "qpid")]
    notify_qpid::DRIVER,
    #[cfg(feature = "rabbit")]
    notify_rabbit::DRIVER,
];

/// The Cargo features of this crate that are compiled in, in alphabetical order.
///
/// The list omits `default` and `full`, which only group other features. `glance-notify --version`
/// prints it.
///
/// ```
/// assert!(glance_notify::transport::FEATURES.is_sorted());
/// ```
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "listen")]
    "listen",
    #[cfg(feature = "log")]
    "log",
    #[cfg(feature = "metrics")]
    "metrics",
    #[cfg(feature = "noop")]
    "noop",
    #[cfg(feature = "qpid")]
    "qpid",
    #[cfg(feature = "rabbit")]
    "rabbit",
    #[cfg(feature = "schema")]
    "schema",
    #[cfg(feature = "spool")]
    "spool",
    #[cfg(feature = "testing")]
    "testing",
    #[cfg(feature = "tls")]
    "tls",
];

/// Returns the strategy that has `name` as its name or as an alias.
///
/// The strategy need not be compiled in. Returns `None` for an unknown name.
pub(crate) fn canonical_name(name: &str) -> Option<&'static str> {
    let strategy =
        STRATEGIES.iter().find(|(known, aliases)| *known == name || aliases.contains(&name));
    strategy.map(|(known, _)| *known)
}

/// Returns `true` if a strategy, compiled in or not, has this name.
pub(crate) fn is_name(name: &str) -> bool {
    STRATEGIES.iter().any(|(known, _)| *known == name)
}

/// Returns the names of all strategies in the form of a message: `"noop", "log", "rabbit" or "qpid"`.
pub(crate) fn names_in_words() -> String {
    let names: Vec<_> = STRATEGIES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    match names.split_last() {
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Returns the driver of the strategy called `name`.
///
/// # Errors
///
/// [`ErrorKind::Config`] if the strategy is not compiled in. The message names the Cargo feature to
/// enable.
pub(crate) fn driver(name: &str) -> Result<&'static Driver> {
    find_driver(name, DRIVERS)
}

/// Returns the driver called `name` in `drivers`.
fn find_driver<'a>(name: &str, drivers: &'a [Driver]) -> Result<&'a Driver> {
    drivers.iter().find(|driver| driver.name == name).ok_or_else(|| {
        let compiled_in: Vec<_> = drivers.iter().map(|driver| driver.name).collect();
        Error::new(
            ErrorKind::Config,
            format!(
                "strategy `{name}` is not compiled in: enable the Cargo feature `{name}` \
                 (compiled in: {})",
                if compiled_in.is_empty() { "none".to_owned() } else { compiled_in.join(", ") }
            ),
        )
    })
}

/// Every strategy that a configuration may name, with its aliases, compiled in or not.
const STRATEGIES: &[(&str, &[&str])] =
    &[("noop", &["default"]), ("log", &["logging"]), ("rabbit", &[]), ("qpid", &[])];

#[cfg(test)]
mod tests {
    use notify_core::config::DriverOptions;
    use notify_core::transport::Transport;

    use super::*;

    /// Fails: these tests look up drivers and open none.
    fn refuse_to_open(_: DriverOptions) -> Result<Box<dyn Transport>> {
        Err(Error::new(ErrorKind::Bug, "this test opens no transport"))
    }

    /// A driver with the names of `noop`.
    const NOOP: Driver =
        Driver { name: "noop", aliases: &["default"], defaults: "{}", open: refuse_to_open };
    /// A driver with the names of `log`.
    const LOG: Driver =
        Driver { name: "log", aliases: &["logging"], defaults: "{}", open: refuse_to_open };

    /// Glance's names `logging` and `default` select our strategies.
    #[test]
    fn finds_a_strategy_by_its_name_and_by_its_aliases() {
        assert_eq!(canonical_name("logging"), Some("log"));
        assert_eq!(canonical_name("default"), Some("noop"));
        assert_eq!(canonical_name("kafka"), None);
        assert_eq!(find_driver("log", &[NOOP, LOG]).unwrap().name, "log");
    }

    /// The error names the Cargo feature to enable.
    #[test]
    fn a_strategy_that_is_not_compiled_in_names_its_cargo_feature() {
        let error = find_driver("rabbit", &[LOG, NOOP]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "strategy `rabbit` is not compiled in: enable the Cargo feature `rabbit` \
             (compiled in: log, noop)"
        );
        let error = find_driver("log", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "strategy `log` is not compiled in: enable the Cargo feature `log` (compiled in: none)"
        );
    }

    /// The table here and the drivers' own constants cannot drift apart.
    #[test]
    fn every_driver_is_a_known_strategy_with_the_same_aliases() {
        for driver in DRIVERS {
            let known = STRATEGIES.iter().find(|(name, _)| *name == driver.name).unwrap();
            assert_eq!(known.1, driver.aliases, "{}", driver.name);
            assert!(FEATURES.contains(&driver.name), "{}", driver.name);
        }
    }
}
