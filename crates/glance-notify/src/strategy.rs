//! Which strategies there are, which of them are compiled in, and opening the configured one.

use notify_core::config::Driver;
use notify_core::{Error, ErrorKind, Result, Transport};

use crate::Config;

/// The strategies that are compiled in.
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

/// The Cargo features of this crate that are compiled in, but for those that are others together.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "log")]
    "log",
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

/// Opens the configured transport. Touches nothing outside the process.
///
/// # Errors
///
/// [`ErrorKind::Config`], when the strategy is unknown or not compiled in, or when one of its options
/// is unknown, missing or of the wrong kind.
pub fn open(config: &Config) -> Result<Box<dyn Transport>> {
    let driver = find(config.strategy(), DRIVERS)?;
    (driver.open)(config.options(driver.name))
}

/// The strategy that goes by `name`, or by another name for which this is an alias.
pub(crate) fn canonical(name: &str) -> Option<&'static str> {
    let known =
        STRATEGIES.iter().find(|(known, aliases)| *known == name || aliases.contains(&name));
    known.map(|(known, _)| *known)
}

/// Every strategy, as a message lists them.
pub(crate) fn names() -> String {
    let names: Vec<_> = STRATEGIES.iter().map(|(name, _)| *name).collect();
    match names.split_last() {
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn find<'a>(known: &str, drivers: &'a [Driver]) -> Result<&'a Driver> {
    drivers.iter().find(|driver| driver.name == known).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!(
                "strategy `{known}` is not compiled in: enable the Cargo feature `{known}` \
                 (compiled in: {})",
                match drivers.iter().map(|driver| driver.name).collect::<Vec<_>>().join(", ") {
                    names if names.is_empty() => "none".to_owned(),
                    names => names,
                }
            ),
        )
    })
}

/// Every strategy that a configuration may name, and its aliases, whether it is compiled in or not.
const STRATEGIES: &[(&str, &[&str])] =
    &[("noop", &["default"]), ("log", &["logging"]), ("rabbit", &[]), ("qpid", &[])];

#[cfg(test)]
mod tests {
    use notify_core::config::DriverOptions;

    use super::*;

    fn open_nothing(_: DriverOptions) -> Result<Box<dyn Transport>> {
        Err(Error::new(ErrorKind::Bug, "not to be opened"))
    }

    const NOOP: Driver =
        Driver { name: "noop", aliases: &["default"], defaults: "{}", open: open_nothing };
    const LOG: Driver =
        Driver { name: "log", aliases: &["logging"], defaults: "{}", open: open_nothing };

    #[test]
    fn a_strategy_goes_by_its_name_and_its_aliases() {
        assert_eq!(canonical("logging"), Some("log"));
        assert_eq!(canonical("default"), Some("noop"));
        assert_eq!(canonical("kafka"), None);
        assert_eq!(find("log", &[NOOP, LOG]).unwrap().name, "log");
    }

    #[test]
    fn what_is_not_compiled_in_says_which_feature_it_wants() {
        let error = find("rabbit", &[LOG, NOOP]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "strategy `rabbit` is not compiled in: enable the Cargo feature `rabbit` \
             (compiled in: log, noop)"
        );
        let error = find("log", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "strategy `log` is not compiled in: enable the Cargo feature `log` (compiled in: none)"
        );
    }

    #[test]
    fn every_driver_is_a_known_strategy_with_the_same_aliases() {
        for driver in DRIVERS {
            let known = STRATEGIES.iter().find(|(name, _)| *name == driver.name).unwrap();
            assert_eq!(known.1, driver.aliases, "{}", driver.name);
            assert!(FEATURES.contains(&driver.name), "{}", driver.name);
        }
    }
}
