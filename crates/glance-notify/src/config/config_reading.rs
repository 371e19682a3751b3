//! Reading a configuration: from the options of all layers to a checked [`Config`], one for each destination.

use notify_core::config::DriverOptions;
use notify_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::common_settings::CommonSettings;
use super::compat;
use super::configuration::Config;
use super::destination_header::DestinationHeader;
use super::option_tree::{OptionTree, config_error};
use super::unused_keys;
use crate::strategies;

impl Config {
    /// Adds the presets of `compat` to `options`, and checks the common keys.
    ///
    /// With tables `[[destination]]`, checks the configuration of each of them as well.
    pub(super) fn from_options(mut options: OptionTree) -> Result<Self> {
        let several = Self::read_destinations(&options)?;
        let Some(first) = several.first() else { return Self::read_one(options, None) };
        let used: Vec<_> = several.iter().map(Self::strategy).collect();
        unused_keys::warn(&mut options, &used);
        unused_keys::warn_of_overridden(&mut options, &several);
        for warning in several.iter().flat_map(|one| &one.options.warnings) {
            if !options.warnings.contains(warning) {
                options.warnings.push(warning.clone());
            }
        }
        let strategy = first.strategy;
        let settings = Self::read_settings(&options, "")?;
        Ok(Self { strategy, settings, options, several, ..Self::default() })
    }

    /// Reads the configurations of the tables `[[destination]]`, each over the keys outside of them.
    fn read_destinations(options: &OptionTree) -> Result<Vec<Self>> {
        let Some(list) = options.get("destination") else { return Ok(Vec::new()) };
        let origin = options.origins.get("destination");
        let tables: Option<Vec<_>> = list
            .as_array()
            .and_then(|tables| tables.iter().map(Value::as_object).collect())
            .filter(|tables: &Vec<_>| !tables.is_empty());
        // Without tables, the check of all keys reports the mistake.
        let Some(tables) = tables else { return Ok(Vec::new()) };
        if let Some(strategy) = options.origins.get("strategy") {
            return Err(config_error(format!(
                "`strategy` ({}) and `[[destination]]` contradict each other: remove one of them",
                strategy.place
            )));
        }
        let mut several: Vec<Self> = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let origins = table.keys().filter_map(|key| Some((key.clone(), origin?.clone())));
            let place = DestinationHeader::read(index, table, origins.collect())?;
            if several.iter().any(|one| one.place.as_ref().is_some_and(|it| it.name == place.name))
            {
                return Err(config_error(format!(
                    "`{}`: an earlier destination has the same name: set another `name`",
                    place.key
                )));
            }
            let from = origin.map(|origin| origin.place.as_str());
            let table = DestinationHeader::without_own_keys(table.clone());
            let options = options.for_destination(table, from.unwrap_or_default())?;
            several.push(Self::read_one(options, Some(place))?);
        }
        #[cfg(feature = "spool")]
        Self::share_spools(&mut several);
        Ok(several)
    }

    /// Makes one spool in each directory report the slots of unknown destinations.
    #[cfg(feature = "spool")]
    fn share_spools(several: &mut [Self]) {
        let dirs: Vec<_> =
            several.iter().map(|one| one.options.get("spool.dir").cloned()).collect();
        for at in 0..several.len() {
            let shares = |other: &usize| dirs[*other] == dirs[at];
            let sharing = (0..several.len()).filter(shares);
            let names =
                sharing.filter_map(|other| Some(several[other].place.as_ref()?.name.clone()));
            let is_first = !dirs[..at].contains(&dirs[at]);
            several[at].spool_names = is_first.then(|| names.collect());
        }
    }

    /// Reads the configuration of one destination.
    fn read_one(mut options: OptionTree, place: Option<DestinationHeader>) -> Result<Self> {
        compat::add_presets(&mut options);
        let prefix = place.as_ref().map_or("", |place| &place.key);
        let settings = Self::read_settings(&options, prefix)?;
        let Some(strategy) = strategies::canonical_name(&settings.strategy) else {
            let set_by =
                options.origins.get("strategy").map(|origin| format!(" ({})", origin.place));
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`{}strategy`{}: unknown value, expected {}",
                    if prefix.is_empty() { String::new() } else { format!("{prefix}.") },
                    set_by.unwrap_or_default(),
                    strategies::names_in_words()
                ),
            ));
        };
        unused_keys::warn(&mut options, &[strategy]);
        Ok(Self { strategy, settings, options, place, ..Self::default() })
    }

    /// Checks the common keys. Errors put `prefix` before each key.
    fn read_settings(options: &OptionTree, prefix: &str) -> Result<CommonSettings> {
        DriverOptions::new(prefix.to_owned(), options.values.clone())
            .with_origins(options.origins.clone())
            .parse()
    }
}
