//! `SourceConfig`: one source of notifications, as a table `[[source]]` names it.
//!
//! It opens no file and no connection.

use std::path::Path;
#[cfg(feature = "log")]
use std::path::PathBuf;

#[cfg(feature = "log")]
use notify_core::codec::LineFilter;
#[cfg(any(feature = "log", feature = "rabbit"))]
use notify_core::config::DriverOptions;
use notify_core::config::Origins;
#[cfg(feature = "rabbit")]
use notify_core::redact::printable;
use notify_core::source::Source;
use notify_core::{Error, ErrorKind, Result};
#[cfg(feature = "log")]
use notify_log::LineForm;
#[cfg(feature = "rabbit")]
use notify_rabbit::{RabbitSourceConfig, SourceQueue};
use serde_json::{Map, Value};

#[cfg(feature = "log")]
use super::file_place::FilePlace;
use crate::config::configuration::Config;
use crate::config::layers::Layers;

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
    place: SourceLocation,
    warnings: Vec<String>,
}

/// The place that a source reads from.
#[derive(Clone, Debug)]
enum SourceLocation {
    /// A log file or standard input.
    #[cfg(feature = "log")]
    File(FilePlace),
    /// A broker.
    #[cfg(feature = "rabbit")]
    Rabbit(Box<RabbitSourceConfig>),
}

impl Config {
    /// Returns the sources that the tables `[[source]]` name, in their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option of a source is unknown, missing or invalid, for two sources of
    /// one name or with one checkpoint, and if a kind of source is not compiled in.
    pub fn sources(&self) -> Result<Vec<SourceConfig>> {
        let (tables, origin) = self.source_tables();
        let mut sources: Vec<SourceConfig> = Vec::new();
        for (index, table) in tables.iter().enumerate() {
            let origins = table.keys().filter_map(|key| Some((key.clone(), origin?.clone())));
            let prefix = format!("source[{index}]");
            let source = SourceConfig::from_table(&prefix, table.clone(), origins.collect())
                .map_err(|error| naming_source(&prefix, error))?;
            if sources.iter().any(|earlier| earlier.name == source.name) {
                let problem = "an earlier source has the same name: set another `name`";
                return Err(config_error(format!("`{prefix}`: {problem}")));
            }
            // Each of the two would continue at the place of the other, and skip the lines between them.
            let checkpoint = source.checkpoint_path();
            let has_same = |earlier: &SourceConfig| earlier.checkpoint_path() == checkpoint;
            if checkpoint.is_some()
                && let Some(earlier) = sources.iter().position(has_same)
            {
                let problem = "has the same checkpoint: set another path";
                return Err(config_error(format!(
                    "`{prefix}.checkpoint`: `source[{earlier}]` {problem}"
                )));
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
        Self::new(place.default_name(), SourceLocation::File(place))
    }

    /// Returns a source on RabbitMQ. Its name is that of the configuration, unless that is the default: then
    /// it is the first host with the virtual host.
    #[cfg(feature = "rabbit")]
    pub fn rabbit(mut config: RabbitSourceConfig) -> Self {
        if config.name == RabbitSourceConfig::default().name {
            let host = config.endpoint.hosts.first().map(ToString::to_string).unwrap_or_default();
            let virtual_host = config.endpoint.virtual_host.as_deref().unwrap_or("/");
            let separator = if virtual_host.starts_with('/') { "" } else { "/" };
            let name = format!("{host}{separator}{virtual_host}");
            config.name = printable(&name, NAME_CHARS).to_string();
        }
        Self::new(config.name.clone(), SourceLocation::Rabbit(Box::new(config)))
    }

    /// Returns the sources at a location, as the command's option `--from` names it.
    ///
    /// | location | sources |
    /// |---|---|
    /// | a URL that begins with `amqp://` or `amqps://` | a temporary tap on that broker |
    /// | a file whose name ends in `.toml` | those of its tables `[[source]]`, and nothing else of the file |
    /// | a file whose name ends in `.conf`, or a directory of such files | a temporary tap on the broker of that `glance-api.conf`, with its exchange and topics |
    /// | `-` | standard input |
    /// | another file | the file |
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a configuration cannot be read, if a kind of source is not compiled in, for any
    /// other URL, and as from [`Config::sources`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "rabbit")]
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::listen::SourceConfig;
    ///
    /// let sources = SourceConfig::from_location("amqp://audit:secret@rabbit1:5672/openstack")?;
    /// assert_eq!(sources[0].name(), "rabbit1:5672/openstack");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "rabbit"))]
    /// # fn main() {}
    /// ```
    pub fn from_location(location: &str) -> Result<Vec<Self>> {
        if location.starts_with("amqp://") || location.starts_with("amqps://") {
            let table = [("url".to_owned(), location.into())].into_iter().collect();
            return Ok(vec![Self::from_table("--from", table, Origins::default())?]);
        }
        // As a file, the URL of oslo.messaging (`rabbit://`) would be missing, and its password in the message.
        if location.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('/')) {
            let expected = "expected a URL that begins with amqp:// or amqps://, or the glance-api.conf \
                            that names the broker";
            return Err(config_error(format!("`--from`: {expected}")));
        }
        let path = std::path::Path::new(location);
        let has_extension = |wanted: &str| path.extension().is_some_and(|found| found == wanted);
        if has_extension("toml") {
            let config = Layers::new().file(path)?.build()?;
            let mut sources = config.sources()?;
            if let Some(first) = sources.first_mut() {
                first.warnings.extend_from_slice(config.warnings());
            }
            return Ok(sources);
        }
        if has_extension("conf") || path.is_dir() {
            return Ok(vec![Self::from_conf(Layers::new().file(path)?)?]);
        }
        let table = [("file".to_owned(), location.into())].into_iter().collect();
        Ok(vec![Self::from_table("--from", table, Origins::default())?])
    }

    /// Creates a source on the broker of files in the format of `glance-api.conf`.
    #[cfg(feature = "rabbit")]
    fn from_conf(files: Layers) -> Result<Self> {
        let (options, warnings) = files.broker_source()?;
        let source = Self::rabbit(RabbitSourceConfig::from_options(options)?);
        Ok(Self { warnings, ..source })
    }

    /// Returns an error: no broker is a source in this build.
    #[cfg(not(feature = "rabbit"))]
    fn from_conf(_: Layers) -> Result<Self> {
        Err(config_error("enable the Cargo feature `rabbit` to read from a broker".to_owned()))
    }

    /// Creates a source from its table. Errors call the table `prefix`.
    fn from_table(prefix: &str, table: Map<String, Value>, origins: Origins) -> Result<Self> {
        let has = |key: &str| table.contains_key(key);
        match (has("file"), has("url") || has("host")) {
            (true, false) => Self::from_file_table(prefix, table, origins),
            (false, true) => Self::from_broker_table(prefix, table, origins),
            (false, false) => {
                Err(config_error(format!("`{prefix}`: the place is missing: set `file` or `url`")))
            }
            (true, true) => Err(config_error(format!(
                "`{prefix}`: a source has one place: keep `file` or the broker"
            ))),
        }
    }

    /// Creates a source that reads a file.
    #[cfg(feature = "log")]
    fn from_file_table(prefix: &str, table: Map<String, Value>, origins: Origins) -> Result<Self> {
        let options = DriverOptions::new(prefix.to_owned(), table).with_origins(origins);
        let (place, name, region) = FilePlace::from_options(options)?;
        let source = Self::new(place.default_name(), SourceLocation::File(place));
        Ok(Self { region, ..source.named_if(name) })
    }

    /// Returns an error: no file is a source in this build.
    #[cfg(not(feature = "log"))]
    fn from_file_table(prefix: &str, _: Map<String, Value>, _: Origins) -> Result<Self> {
        Err(config_error(format!("`{prefix}.file`: enable the Cargo feature `log` to read files")))
    }

    /// Creates a source on a broker. The name and the region are not options of its crate.
    #[cfg(feature = "rabbit")]
    fn from_broker_table(
        prefix: &str,
        mut table: Map<String, Value>,
        origins: Origins,
    ) -> Result<Self> {
        /// The keys that every source has.
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct NameTable {
            name: Option<String>,
            region: Option<String>,
        }
        let keys = ["name", "region"].into_iter();
        let names = keys.filter_map(|key| table.remove_entry(key)).collect();
        let names = DriverOptions::new(prefix.to_owned(), names).with_origins(origins.clone());
        let NameTable { name, region } = names.parse()?;
        let options = DriverOptions::new(prefix.to_owned(), table).with_origins(origins);
        let source = Self::rabbit(RabbitSourceConfig::from_options(options)?);
        Ok(Self { region, ..source.named_if(name) })
    }

    /// Returns an error: no broker is a source in this build.
    #[cfg(not(feature = "rabbit"))]
    fn from_broker_table(prefix: &str, _: Map<String, Value>, _: Origins) -> Result<Self> {
        let problem = "enable the Cargo feature `rabbit` to read from a broker";
        Err(config_error(format!("`{prefix}`: {problem}")))
    }

    /// Creates a source without a region.
    #[cfg(any(feature = "log", feature = "rabbit"))]
    fn new(name: String, place: SourceLocation) -> Self {
        Self { name, region: None, place, warnings: Vec::new() }
    }

    /// Sets the name of the source, if one is configured.
    #[cfg(any(feature = "log", feature = "rabbit"))]
    fn named_if(self, name: Option<String>) -> Self {
        match name {
            Some(name) => self.named(name),
            None => self,
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

    /// Returns warnings about settings that are valid but probably not intended. They contain no secrets.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the path of the file that the source reads; `None` for standard input and for a broker.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            #[cfg(feature = "log")]
            SourceLocation::File(file) if !file.is_input() => Some(&file.path),
            _ => None,
        }
    }

    /// Returns the path of the file that keeps how far the source was acknowledged; `None` if there is none, and
    /// for standard input.
    pub(super) fn checkpoint_path(&self) -> Option<&Path> {
        match self.place {
            #[cfg(feature = "log")]
            SourceLocation::File(ref file) => {
                file.checkpoint.as_deref().filter(|_| !file.is_input())
            }
            #[cfg(feature = "rabbit")]
            SourceLocation::Rabbit(ref config) => match &config.queue {
                SourceQueue::Stream { position, .. }
                | SourceQueue::SharedStream { position, .. } => position.checkpoint.as_deref(),
                _ => None,
            },
        }
    }

    /// Returns whether the source can come to an end: a file, or standard input.
    pub fn has_end(&self) -> bool {
        match self.place {
            #[cfg(feature = "log")]
            SourceLocation::File(_) => true,
            #[cfg(feature = "rabbit")]
            SourceLocation::Rabbit(_) => false,
        }
    }

    /// Returns the configuration of the broker that the source reads from; `None` for a file.
    #[cfg(feature = "rabbit")]
    pub fn broker(&self) -> Option<&RabbitSourceConfig> {
        match &self.place {
            SourceLocation::Rabbit(config) => Some(config),
            #[cfg(feature = "log")]
            SourceLocation::File(_) => None,
        }
    }

    /// Returns the configuration of the broker for changes; `None` for a file.
    #[cfg(feature = "rabbit")]
    pub fn broker_mut(&mut self) -> Option<&mut RabbitSourceConfig> {
        match &mut self.place {
            SourceLocation::Rabbit(config) => Some(config),
            #[cfg(feature = "log")]
            SourceLocation::File(_) => None,
        }
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

    /// Returns the source for an observer, which takes nothing from the other readers and moves no place of
    /// theirs: a broker is read through a temporary tap of the same exchanges and topics, a file without its
    /// checkpoint.
    #[cfg(any(feature = "log", feature = "rabbit"))]
    #[must_use]
    pub fn into_tap(mut self) -> Self {
        match &mut self.place {
            #[cfg(feature = "log")]
            SourceLocation::File(file) => file.checkpoint = None,
            #[cfg(feature = "rabbit")]
            SourceLocation::Rabbit(config) => config.queue = SourceQueue::Temporary,
        }
        self
    }

    /// Sets whether a file is followed beyond its end. By default it is. A broker has no end.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn follow(self, follow: bool) -> Self {
        self.with_file(|file| file.follow = follow)
    }

    /// Sets whether a file without a checkpoint is read from its end on. By default it is read from its
    /// start.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn from_end(self, from_end: bool) -> Self {
        self.with_file(|file| file.from_end = from_end)
    }

    /// Sets the form of the lines of a file or of standard input. By default the first line decides.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn form(self, form: LineForm) -> Self {
        self.with_file(|file| file.form = form)
    }

    /// Sets the file that keeps how far a file was acknowledged. A broker keeps that itself.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        self.with_file(|file| file.checkpoint = Some(path.into()))
    }

    /// Sets the lines of a file or of standard input that the source reads. It passes over the others. By
    /// default it reads all lines. A broker hands over all messages.
    #[cfg(feature = "log")]
    #[must_use]
    pub fn filter(self, filter: Option<LineFilter>) -> Self {
        self.with_file(|file| file.filter = filter)
    }

    /// Changes the file, if the source reads one.
    #[cfg(feature = "log")]
    fn with_file(mut self, change: impl FnOnce(&mut FilePlace)) -> Self {
        match &mut self.place {
            SourceLocation::File(file) => change(file),
            #[cfg(feature = "rabbit")]
            SourceLocation::Rabbit(_) => {}
        }
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
            SourceLocation::File(ref file) => Ok(file.open(&self.name)),
            #[cfg(feature = "rabbit")]
            SourceLocation::Rabbit(ref config) => {
                let mut config = RabbitSourceConfig::clone(config);
                config.name.clone_from(&self.name);
                Ok(Box::new(notify_rabbit::RabbitSource::new(config)?))
            }
        }
    }
}

/// Returns the error of a source with the number of its table. Rules between options name keys of `source` alone.
fn naming_source(prefix: &str, error: Error) -> Error {
    let message = error.to_string();
    if message.contains(prefix) { error } else { config_error(format!("`{prefix}`: {message}")) }
}

/// Returns an error of the configuration.
fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// The longest name of a source that comes from its address, in characters.
#[cfg(feature = "rabbit")]
const NAME_CHARS: usize = 256;
