//! `SourceConfig`: one source of notifications, as a table `[[source]]` names it.
//!
//! It opens no file and no connection.

#[cfg(feature = "log")]
use std::path::PathBuf;

#[cfg(feature = "log")]
use notify_core::config::DriverOptions;
use notify_core::config::Origins;
use notify_core::source::Source;
use notify_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

#[cfg(feature = "log")]
use super::file_place::FilePlace;
use crate::config::configuration::Config;

/// One source of notifications: its name, its region, and the place to read from.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// let config: glance_notify::Config = r#"
///     [[source]]
///     name = "north"
///     region = "RegionNorth"
///     file = "/var/log/north/notifications.log"
///
///     [[source]]
///     name = "south"
///     region = "RegionSouth"
///     file = "/var/log/south/notifications.log"
/// "#
/// .parse()?;
/// let sources = config.sources()?;
/// assert_eq!((sources[1].name(), sources[1].region()), ("south", Some("RegionSouth")));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct SourceConfig {
    name: String,
    region: Option<String>,
    place: SourcePlace,
}

/// The place that a source reads from.
#[derive(Clone, Debug)]
enum SourcePlace {
    /// A log file or standard input.
    #[cfg(feature = "log")]
    File(FilePlace),
}

impl Config {
    /// Returns the sources that the tables `[[source]]` name, in their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option of a source is unknown, missing or invalid, for two sources of
    /// one name, and if a kind of source is not compiled in.
    pub fn sources(&self) -> Result<Vec<SourceConfig>> {
        let (tables, origin) = self.source_tables();
        let mut sources: Vec<SourceConfig> = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let origins = table.keys().filter_map(|key| Some((key.clone(), origin?.clone())));
            let prefix = format!("source[{index}]");
            let source = SourceConfig::from_table(&prefix, table.clone(), origins.collect())?;
            if sources.iter().any(|earlier| earlier.name == source.name) {
                let problem = "an earlier source has the same name: set another `name`";
                return Err(config_error(format!("`{prefix}`: {problem}")));
            }
            sources.push(source);
        }
        Ok(sources)
    }
}

impl SourceConfig {
    /// Returns a source that follows the log file at `path` from its start. The path `-` stands for standard
    /// input, which the source reads to its end.
    #[cfg(feature = "log")]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let place = FilePlace::new(path.into());
        Self { name: place.default_name(), region: None, place: SourcePlace::File(place) }
    }

    /// Creates a source from its table. Errors call the table `prefix`.
    fn from_table(prefix: &str, table: Map<String, Value>, origins: Origins) -> Result<Self> {
        if !table.contains_key("file") {
            return Err(config_error(format!("`{prefix}`: the place is missing: set `file`")));
        }
        #[cfg(feature = "log")]
        {
            let options = DriverOptions::new(prefix.to_owned(), table).with_origins(origins);
            let (place, name, region) = FilePlace::from_options(options)?;
            let name = name.unwrap_or_else(|| place.default_name());
            Ok(Self { name, region, place: SourcePlace::File(place) })
        }
        #[cfg(not(feature = "log"))]
        {
            drop(origins);
            Err(config_error(format!(
                "`{prefix}.file`: enable the Cargo feature `log` to read files"
            )))
        }
    }

    /// Returns the name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the region that the notifications of the source come from, if it is configured.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Sets the name of the source.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets the region of the source.
    #[must_use]
    pub fn in_region(self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Sets whether a file is followed beyond its end. By default it is.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn follow(mut self, follow: bool) -> Self {
        let SourcePlace::File(file) = &mut self.place;
        file.follow = follow;
        self
    }

    /// Sets whether a file without a checkpoint is read from its end on. By default it is read from its
    /// start.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn from_end(mut self, from_end: bool) -> Self {
        let SourcePlace::File(file) = &mut self.place;
        file.from_end = from_end;
        self
    }

    /// Sets the file that keeps how far a file was acknowledged.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        let SourcePlace::File(file) = &mut self.place;
        file.checkpoint = Some(path.into());
        self
    }

    /// Opens the source, without touching anything outside the process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option is invalid.
    pub fn open(&self) -> Result<Box<dyn Source>> {
        match self.place {
            #[cfg(feature = "log")]
            SourcePlace::File(ref file) => Ok(file.open(&self.name)),
        }
    }
}

/// Returns an error of the configuration.
fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
