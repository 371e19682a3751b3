//! The options that choose a configuration, and the rules that the command adds to the library's.
//!
//! The library sends nothing without a strategy. The command requires one, and it refuses or reports settings
//! that would have no effect: you run it to send something.

use std::path::{Path, PathBuf};

use glance_notify::config::{Layers, Redact};
use glance_notify::transport::{DRIVERS, printable};
use glance_notify::{Config, Error};

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::print_warning;

/// The options that choose a configuration. Every subcommand parses them, and [`refuse`](Self::refuse) is for those
/// that read none.
#[derive(clap::Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file: TOML if its name ends in .toml, the format of glance-api.conf if it ends
    /// in .conf. Repeat it for more files, of which later ones win; a directory stands for its .conf
    /// files. Default: the first of ./glance-notify.toml, $XDG_CONFIG_HOME/glance-notify/config.toml and
    /// /etc/glance-notify/config.toml that exists.
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Override one key of the file and the environment, as in `--set log.sync=false`. Repeat it for
    /// more keys. Values are parsed as TOML; anything else is a string.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl ConfigArgs {
    /// Builds the configuration from its layers: files or a default file, environment, then `--set`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the key and its origin if a layer cannot be read or holds an unknown
    /// key or a wrong value, or if `--set` sets a key of a strategy that is not chosen or one that every
    /// destination overrides.
    pub(crate) fn load(&self) -> Result<Config, CommandError> {
        let config = self.build(None, None)?;
        if has_strategy(&config) {
            self.refuse_settings_without_effect(&config)?;
            self.refuse_overridden_settings(&config)?;
        }
        Ok(config)
    }

    /// Builds the configuration for a subcommand that reads nothing but these keys and tables of it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and for a `--set` of another key.
    pub(crate) fn load_part(&self, keys: &[&str]) -> Result<Config, CommandError> {
        let config = self.build(None, None)?;
        self.refuse_settings_outside(keys, &[])?;
        Ok(config)
    }

    /// Builds the configuration of a listener, of which these keys and tables are read. Without `-c`, `file` is a layer
    /// over the default file. `options` name the files that no `--set` changes.
    ///
    /// With a destination, which has the environment as a layer too, only the variables of the `keys` count.
    ///
    /// # Errors
    ///
    /// As [`load_part`](Self::load_part).
    pub(crate) fn load_listener(
        &self,
        keys: &[&str],
        file: Option<&Path>,
        options: &[&str],
        has_destination: bool,
    ) -> Result<Config, CommandError> {
        let config = self.build(file, has_destination.then_some(keys))?;
        self.refuse_settings_outside(keys, options)?;
        Ok(config)
    }

    /// Returns the files that `-c` names.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.config
    }

    /// Builds the configuration from its layers. Without `-c`, `file` is a layer over the default file. With
    /// `variables`, the environment sets only these keys and tables.
    fn build(
        &self,
        file: Option<&Path>,
        variables: Option<&[&str]>,
    ) -> Result<Config, CommandError> {
        let mut layers = Layers::new();
        if self.config.is_empty() {
            layers = layers.default_file().map_err(unreadable_file)?;
        }
        let file = file.filter(|_| self.config.is_empty());
        for path in self.config.iter().map(PathBuf::as_path).chain(file) {
            layers = layers.file(path).map_err(unreadable_file)?;
        }
        layers = match variables {
            Some(keys) => layers.environment_of(keys)?,
            None => layers.environment()?,
        };
        for setting in &self.settings {
            layers = layers.set(setting)?;
        }
        Ok(layers.build()?)
    }

    /// Builds the configuration for a subcommand that delivers notifications.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load) and [`require_destination`].
    pub(crate) fn load_for_delivery(&self) -> Result<Config, CommandError> {
        let config = self.load()?;
        require_destination(&config)?;
        Ok(config)
    }

    /// Refuses the options, for a subcommand that reads no configuration, or none with these arguments.
    ///
    /// A default file and the environment may belong to other subcommands, so they are no mistake.
    ///
    /// # Errors
    ///
    /// Returns an error with the option to leave out.
    pub(crate) fn refuse(&self) -> Result<(), CommandError> {
        let option = match (self.config.is_empty(), self.settings.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => "-c",
            (true, false) => "--set",
        };
        let message = format!("this command reads no configuration: leave out `{option}`");
        Err(CommandError::new(ExitStatus::PermanentError, message))
    }

    /// Refuses a `--set` of anything but these keys and tables, for a subcommand that reads no others.
    ///
    /// A file and the environment may belong to other subcommands, so they are no mistake. `options` name the files
    /// that no `--set` changes.
    ///
    /// # Errors
    ///
    /// Returns an error with the key to leave out, or the files to change.
    pub(crate) fn refuse_settings_outside(
        &self,
        keys: &[&str],
        options: &[&str],
    ) -> Result<(), CommandError> {
        let mut settings = self.settings.iter().map(|setting| key_of(setting));
        let Some(key) = settings.find(|key| !keys.iter().any(|table| is_within(key, table))) else {
            return Ok(());
        };
        let files = if options.is_empty() { "" } else { ", or change the file of " };
        let message = format!(
            "--set: `{}` has no effect because this command reads only `{}` of its configuration: \
             remove it{files}{}",
            printable(&Redact::Secrets.text(key), MAX_NAME),
            keys.join("`, `"),
            options.join(" or ")
        );
        Err(CommandError::new(ExitStatus::PermanentError, message))
    }

    /// Refuses a `--set` for the table of a strategy that is not chosen: even a misspelt key there would
    /// have no effect.
    fn refuse_settings_without_effect(&self, config: &Config) -> Result<(), CommandError> {
        for setting in &self.settings {
            let key = key_of(setting);
            let Some((table, _)) = key.split_once('.') else { continue };
            let Some(driver) = DRIVERS.iter().find(|driver| driver.name == table) else { continue };
            let strategies: Vec<_> =
                config.destinations().iter().map(|it| it.config().strategy()).collect();
            if !strategies.contains(&driver.name) {
                let message = format!(
                    "--set: `{}` has no effect because the strategy is `{}`: remove it, or add \
                     `--set strategy={table}`",
                    printable(&Redact::Secrets.text(key), MAX_NAME),
                    strategies.join("`, `")
                );
                return Err(CommandError::new(ExitStatus::PermanentError, message));
            }
        }
        Ok(())
    }

    /// Refuses a `--set` outside of the tables `[[destination]]` that each of them overrides.
    fn refuse_overridden_settings(&self, config: &Config) -> Result<(), CommandError> {
        let entries = config.entries();
        for setting in &self.settings {
            let key = key_of(setting);
            let mut found = entries.iter().filter(|entry| {
                let table = entry.key.strip_prefix("destination[");
                let own = table.and_then(|rest| rest.split_once("].")).map(|(_, own)| own);
                entry.origin != "default" && own.is_some_and(|own| is_within(own, key))
            });
            if let Some(first) = found.next()
                && first.origin != "--set"
                && found.all(|entry| entry.origin != "--set")
            {
                let message = format!(
                    "--set: `{}` has no effect because every destination overrides it: remove it, or \
                     change the key in {}",
                    printable(&Redact::Secrets.text(key), MAX_NAME),
                    printable(&first.origin, MAX_NAME)
                );
                return Err(CommandError::new(ExitStatus::PermanentError, message));
            }
        }
        Ok(())
    }
}

/// Returns the key of a setting of the form `KEY=VALUE`.
fn key_of(setting: &str) -> &str {
    setting.split('=').next().unwrap_or_default().trim()
}

/// Returns whether a key is `table` or one of its keys.
fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Adds to the error of a configuration file that cannot be read what you can do about it.
pub(crate) fn unreadable_file(error: Error) -> CommandError {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
    match cause {
        Some(cause) => CommandError::file(&error.to_string(), cause),
        None => error.into(),
    }
}

/// Checks that a configuration says where notifications go.
///
/// # Errors
///
/// Returns an error if no layer sets `strategy`, or if a spool stands in front of a strategy that sends nothing.
pub(crate) fn require_destination(config: &Config) -> Result<(), CommandError> {
    if !has_strategy(config) {
        // A misspelt variable may be the reason. The library logs warnings only when it starts to deliver.
        for warning in config.warnings() {
            print_warning(format_args!("{warning}"));
        }
        return Err(missing_strategy());
    }
    let loses = |config: &Config| {
        let has_spool = config.entries().iter().any(|entry| entry.key == "spool.dir");
        config.strategy() == "noop" && has_spool
    };
    if config.destinations().iter().any(|destination| loses(destination.config())) {
        let message = "the strategy `noop` sends nothing, and a spool in front of it would lose its \
                       messages: set `strategy` to your destination";
        return Err(CommandError::new(ExitStatus::PermanentError, message));
    }
    Ok(())
}

/// Returns whether a layer of the configuration sets `strategy`.
fn has_strategy(config: &Config) -> bool {
    let is_strategy = |key: &str| key == "strategy" || key.ends_with("].strategy");
    config.entries().iter().any(|entry| is_strategy(&entry.key) && entry.origin != "default")
}

/// Returns the error of a configuration without a strategy.
fn missing_strategy() -> CommandError {
    let names: Vec<_> = DRIVERS.iter().map(|driver| format!("`{}`", driver.name)).collect();
    let message = format!(
        "no strategy is configured: name a file with `-c FILE`, or set `strategy` to one of {}",
        names.join(", ")
    );
    CommandError::new(ExitStatus::PermanentError, message)
}

/// The largest number of characters of a key that a message shows.
const MAX_NAME: usize = 256;
