//! `Layers`: the sources of a configuration, each overriding the sources before it.
//!
//! Only this file reads the environment.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use notify_core::Result;
#[cfg(all(feature = "listen", feature = "rabbit"))]
use notify_core::config::DriverOptions;
use notify_core::redact::printable;
use serde_json::{Map, Value};

use super::config_file;
use super::configuration::Config;
use super::default_files;
use super::glance_conf::conf_files::ConfFiles;
use super::glance_conf::{translator, unknown_options};
use super::option_tree::{OptionTree, config_error};
use super::unused_keys;

/// A builder that combines sources of configuration. Each source overrides those before it.
///
/// # Examples
///
/// ```no_run
/// # fn main() -> glance_notify::Result<()> {
/// use glance_notify::config::Layers;
///
/// let config = Layers::new()
///     .file("/etc/glance/notify.toml")?
///     .environment()?
///     .set("log.sync=false")?
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Layers {
    /// The sources before the first file of Glance's format.
    below: OptionTree,
    /// The files of Glance's format, which are translated together.
    conf_files: ConfFiles,
    /// All other sources.
    options: OptionTree,
    /// Warnings about variables that concern the files of Glance's format alone.
    conf_warnings: Vec<String>,
}

impl Layers {
    /// Creates an empty configuration, in which every key has its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the file at `path`: TOML if its name ends in `.toml`, or the format of
    /// [`glance-api.conf`](super::glance_conf) if it ends in `.conf`. A directory stands for its `.conf`
    /// files in alphabetical order, as oslo.config's `--config-dir`.
    ///
    /// All files of Glance's format are one layer, at the place of the first of them. Within it a later
    /// file wins, and the values of options such as `driver` add up, as in oslo.config. Every layer wins
    /// over Glance's defaults.
    /// [`build`](Self::build) translates that layer, for the strategy that the layers above select.
    ///
    /// Warns if a file contains a secret and every user of the machine can read it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a file cannot be read, is larger than
    /// 1 MiB, has another file name extension, or has invalid syntax.
    ///
    /// # Examples
    ///
    /// Glance's own file, with one option overridden:
    ///
    /// ```no_run
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::config::Layers;
    ///
    /// let config = Layers::new()
    ///     .file("/etc/glance/glance-api.conf")?
    ///     .set("rabbit.topic=images")?
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let paths =
            if path.is_dir() { config_file::conf_files_in(path)? } else { vec![path.to_owned()] };
        for path in paths {
            let had_conf_files = !self.conf_files.is_empty();
            config_file::put_file(&mut self.options, &mut self.conf_files, &path)?;
            if !had_conf_files && !self.conf_files.is_empty() {
                self.below = std::mem::take(&mut self.options);
            }
        }
        Ok(self)
    }

    /// Adds the first default file that exists, if any, and logs its path at level info.
    ///
    /// The default files are `./glance-notify.toml`, `$XDG_CONFIG_HOME/glance-notify/config.toml`
    /// (`~/.config` without that variable), and `/etc/glance-notify/config.toml`. The command reads one of
    /// them if you name no file. A service names its file.
    ///
    /// # Errors
    ///
    /// As from [`file`](Self::file), if the file exists.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::config::Layers;
    ///
    /// let config = Layers::new().default_file()?.environment()?.build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn default_file(self) -> Result<Self> {
        match default_files::first_existing() {
            Some(path) => {
                tracing::info!("reading the configuration from {}", path.display());
                self.file(path)
            }
            None => Ok(self),
        }
    }

    /// Adds a TOML text. Errors and [`ConfigEntry::origin`](super::ConfigEntry::origin) name it
    /// `place`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the text is not TOML. The message gives line
    /// and column, and does not quote the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use glance_notify::config::Layers;
    ///
    /// let error = Layers::new().toml("defaults.toml", "strategy = log").unwrap_err();
    /// assert!(error.to_string().starts_with("defaults.toml, line 1, column 12: "));
    /// ```
    pub fn toml(mut self, place: &str, text: &str) -> Result<Self> {
        self.options.put_toml(place, text)?;
        Ok(self)
    }

    /// Adds a table of JSON values. Errors and [`ConfigEntry::origin`](super::ConfigEntry::origin)
    /// name it `place`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the table has both `log_file` and `log.file`.
    pub fn table(mut self, place: &str, table: Map<String, Value>) -> Result<Self> {
        self.options.put_table(place, table)?;
        Ok(self)
    }

    /// The prefix of environment variables that set options.
    pub const PREFIX: &'static str = "GLANCE_NOTIFY__";

    /// Adds this process's environment variables with the prefix `GLANCE_NOTIFY__`.
    ///
    /// `GLANCE_NOTIFY__LOG__FILE` sets `log.file`: two underscores separate the segments of a key. The
    /// values have the form of those of [`set`](Self::set). Warns about variables that have one
    /// underscore in place of two, which have no effect. With a file of Glance's format, also warns about
    /// oslo.config's variables for its options, such as `OS_DEFAULT__TRANSPORT_URL`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a variable with the prefix does not name a
    /// key, or is not valid UTF-8.
    pub fn environment(self) -> Result<Self> {
        self.variables(std::env::vars_os())
    }

    /// Adds those of this process's environment variables that set one of `keys`, which are keys and tables, and warns
    /// about no others: another configuration has the environment as a layer too.
    ///
    /// # Errors
    ///
    /// As from [`environment`](Self::environment).
    #[doc(hidden)]
    pub fn environment_of(self, keys: &[&str]) -> Result<Self> {
        let is_within = |key: &str| {
            keys.iter()
                .filter_map(|table| key.strip_prefix(*table))
                .any(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_read = |name: &OsStr| {
            name.to_str().and_then(key_of_variable).is_some_and(|key| is_within(&key))
        };
        self.variables(std::env::vars_os().filter(|(name, _)| is_read(name)))
    }

    /// Adds `variables` in the way of [`environment`](Self::environment), for tests.
    ///
    /// # Errors
    ///
    /// As from [`environment`](Self::environment).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::config::Layers;
    ///
    /// let variables = [("GLANCE_NOTIFY__PUBLISHER_ID".into(), "image.host1".into())];
    /// let config = Layers::new().variables(variables)?.build()?;
    /// assert_eq!(config.publisher_id(), Some("image.host1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn variables(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let Some(key) = key_of_variable(name) else {
                self.options.warnings.extend(unused_keys::warning_of_variable(name));
                self.conf_warnings.extend(unknown_options::warning_of_variable(name));
                continue;
            };
            let place = format!("environment variable {}", printable(name, NAME_CHARS));
            let Some(text) = value.to_str() else {
                return Err(config_error(format!("{place}: the value is not valid UTF-8")));
            };
            self.options.put_text(&key, text, &place)?;
        }
        Ok(self)
    }

    /// Adds one setting of the form `KEY=VALUE`.
    ///
    /// The value is TOML if it parses as TOML, and a string otherwise. For an option of type string,
    /// every value is a string: `rabbit.password=007` keeps its zeros.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) without a `=`, or without a key before it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> glance_notify::Result<()> {
    /// use glance_notify::config::Layers;
    ///
    /// let config = Layers::new()
    ///     .set("strategy=log")?
    ///     .set("log.file=/tmp/notifications.log")?
    ///     .set("queue.max_messages=500")?
    ///     .build()?;
    /// assert_eq!(config.strategy(), "log");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(mut self, setting: &str) -> Result<Self> {
        let Some((key, text)) = setting.split_once('=') else {
            return Err(config_error(
                "--set: expected KEY=VALUE, as in `--set log.file=notifications.log`",
            ));
        };
        self.options.put_text(key.trim(), text, "--set")?;
        Ok(self)
    }

    /// Returns the options of a source on the broker that the files of Glance's format name, and the
    /// warnings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if an option is invalid, or if the broker is no
    /// RabbitMQ.
    #[cfg(all(feature = "listen", feature = "rabbit"))]
    pub(crate) fn broker_source(self) -> Result<(DriverOptions, Vec<String>)> {
        let mut options = OptionTree::default();
        translator::translate_source(self.conf_files, &mut options)?;
        options.warnings.splice(..0, self.below.warnings.into_iter().chain(self.options.warnings));
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let warning = |name: String| unknown_options::warning_of_variable(&name);
        options.warnings.extend(names.filter_map(warning));
        let warnings = std::mem::take(&mut options.warnings);
        Ok((Config::from_options(options)?.options("rabbit"), warnings))
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an unknown key, an invalid value and an
    /// unknown strategy.
    pub fn build(self) -> Result<Config> {
        let Self { below: mut options, conf_files, options: above, conf_warnings } = self;
        if conf_files.is_empty() {
            options.put_tree(above);
        } else {
            translator::translate(conf_files, &mut options, above)?;
            options.warnings.extend(conf_warnings);
        }
        config_file::warn_of_password_files(&mut options);
        Config::from_options(options)
    }
}

impl Config {
    /// Reads the file at `path` and overrides it with the environment, as a service does at startup.
    ///
    /// Use [`Layers`] to combine other sources.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), as from [`Layers::file`],
    /// [`Layers::environment`] and [`Layers::build`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> glance_notify::Result<()> {
    /// let config = glance_notify::Config::load("/etc/glance/notify.toml")?;
    /// let (notifier, worker) = glance_notify::start(&config)?;
    /// # drop((notifier, worker));
    /// # Ok(())
    /// # }
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Layers::new().file(path)?.environment()?.build()
    }
}

impl fmt::Debug for Layers {
    /// Shows the keys but no values, because any value may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field(
                "keys",
                &self.below.origins.keys().chain(self.options.origins.keys()).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// Returns the key that an environment variable sets, unless it has another prefix.
fn key_of_variable(name: &str) -> Option<String> {
    let key = name.strip_prefix(Layers::PREFIX)?;
    Some(key.to_ascii_lowercase().replace("__", "."))
}

/// How much of a variable's name an error shows, in characters.
const NAME_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;

    use super::*;

    /// Returns the value of `key` and its origin, with the strategy that `key` belongs to selected.
    fn value_and_origin(layers: Layers, key: &str) -> String {
        let strategy = key.split('.').next().unwrap();
        let config = layers.set(&format!("strategy={strategy}")).unwrap().build().unwrap();
        let entries = config.entries();
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        format!("{} ({})", entry.value, entry.origin)
    }

    /// Returns `pairs` in the form of the environment.
    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// The precedence that `docs/configuration.md` promises.
    #[test]
    fn the_environment_overrides_the_file_and_settings_override_both() {
        let file = Layers::new().toml("a.toml", "log_file = 'a'\nlog.sync = true").unwrap();
        assert_eq!(value_and_origin(file.clone(), "log.file"), "\"a\" (a.toml)");
        let environment = file.variables(variables(&[
            ("GLANCE_NOTIFY__LOG__FILE", "b"),
            ("GLANCE_NOTIFY_LOG__FILE", "x"),
            ("PATH", "/bin"),
        ]));
        let environment = environment.unwrap();
        assert_eq!(
            value_and_origin(environment.clone(), "log.file"),
            "\"b\" (environment variable GLANCE_NOTIFY__LOG__FILE)"
        );
        let set = environment.set("log_file=c").unwrap();
        assert_eq!(value_and_origin(set.clone(), "log.file"), "\"c\" (--set)");
        assert_eq!(value_and_origin(set, "log.sync"), "true (a.toml)");
    }

    /// A password of digits keeps its leading zeros.
    #[test]
    fn digits_stay_a_string_in_an_option_of_type_string() {
        let layers = Layers::new().set("publisher_id=007").unwrap();
        assert_eq!(layers.build().unwrap().publisher_id(), Some("007"));
        let layers = Layers::new().variables(variables(&[("GLANCE_NOTIFY__PUBLISHER_ID", "true")]));
        assert_eq!(layers.unwrap().build().unwrap().publisher_id(), Some("true"));
    }

    /// A later layer wins even when it changes the type of a value.
    #[test]
    fn a_value_replaces_a_table_and_a_table_replaces_a_value() {
        let layers = Layers::new().set("rabbit={ host = \"a\", port = 1 }").unwrap();
        assert_eq!(value_and_origin(layers.clone(), "rabbit.port"), "1 (--set)");
        let layers = layers.set("rabbit=1").unwrap();
        assert_eq!(
            layers.clone().build().unwrap_err().to_string(),
            "`rabbit` (--set): expected a table, found a whole number"
        );
        let layers = layers.set("rabbit.host=b").unwrap();
        assert_eq!(value_and_origin(layers, "rabbit.host"), "\"b\" (--set)");
    }

    /// Malformed settings are errors, and a deeply nested key cannot exhaust the stack.
    #[test]
    fn rejects_a_setting_without_a_key_or_with_a_deeply_nested_one() {
        let deep = format!("{}=1", ["a"; 9].join("."));
        for setting in ["strategy", "=log", "log.=x", ".log=x", "a..b=x", deep.as_str()] {
            let error = Layers::new().set(setting).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with("--set: "), "{error}");
        }
    }
}
