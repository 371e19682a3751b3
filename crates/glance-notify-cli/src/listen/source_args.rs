//! The options that name the sources of `listen` and `replay`: [`SourceArgs`].

use std::fs::File;
use std::path::{Path, PathBuf};

use glance_notify::Config;
use glance_notify::codec::LineFilter;
use glance_notify::config::{Layers, Redact};
use glance_notify::listen::SourceConfig;
#[cfg(feature = "rabbit")]
use glance_notify::listen::SourceQueue;
#[cfg(feature = "rabbit")]
use glance_notify::transport::printable;
#[cfg(feature = "rabbit")]
use glance_notify::transport::rabbit::QueueType;
use glance_notify::transport::refuse_special_file_at;
use notify_archive::question::EventFilter;
use rustix::fs::{Access, access as access_file};

use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{announce_terminal_input, display_path, read_error};
use crate::settings::{ConfigArgs, unreadable_file};
use crate::terminal::print_warning;

/// The option that names sources.
#[derive(clap::Args)]
pub(crate) struct LocationArgs {
    /// Source of notifications. Repeat it for more, which are read at the same time. A broker is a URL that
    /// begins with amqp:// or amqps://, or the glance-api.conf that names it; its notifications are copied,
    /// and no other consumer loses any. A file is JSON lines or a log of oslo.log, compressed with gzip or
    /// not; `-` is standard input. A name that ends in .toml is a configuration with tables `[[source]]`;
    /// alone and without `-c`, it also sets `listener` and `redact`, over those of the default file. Without
    /// `--from`, the command reads the sources of the configuration, or standard input if that names none.
    #[arg(long, value_name = "URL|CONF|FILE")]
    pub(crate) from: Vec<String>,
}

/// The options that name sources, and the files that a reader keeps.
#[derive(clap::Args)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    locations: LocationArgs,

    /// File that keeps how far a single file was read, so that the next run continues there.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// File for notifications that cannot be handled. By default, it is that of `listener.dead_letters` in
    /// the configuration. Without both, the command logs the reason and discards them.
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letters: Option<PathBuf>,
}

/// The options that name the queue to read from on the brokers.
#[cfg(feature = "rabbit")]
#[derive(clap::Args)]
pub(crate) struct TapArgs {
    /// Read through a durable tap of this name, which keeps notifications while nothing reads it, for 7
    /// days at most. Its queue is `glance-notify.NAME`.
    #[arg(long, value_name = "NAME", conflicts_with = "consume")]
    pub(crate) tap: Option<String>,

    /// Take notifications from this queue instead of copying them. Its other consumers do not get them.
    /// Repeat it for more queues.
    #[arg(long, value_name = "QUEUE")]
    pub(crate) consume: Vec<String>,
}

impl LocationArgs {
    /// Returns the sources that the option names, and the configuration of their listener. Prints the warnings
    /// about that configuration.
    ///
    /// # Errors
    ///
    /// Returns an error if a configuration is invalid, if a file cannot be read, and for a `--set` that reaches
    /// neither the listener nor a source.
    fn sources(
        &self,
        config: &ConfigArgs,
        to: Option<&Path>,
    ) -> Result<(Vec<SourceConfig>, Config), CommandError> {
        let config = self.listener_config(config, to)?;
        let mut sources = self.named_sources()?;
        if self.from.is_empty() {
            sources = config.sources()?;
            if sources.is_empty() {
                sources.push(SourceConfig::file("-"));
            }
        }
        sources.iter().filter_map(SourceConfig::path).try_for_each(probe)?;
        Ok((sources, config))
    }

    /// Returns the sources, for a subcommand that reads nothing but them from the configuration.
    ///
    /// # Errors
    ///
    /// As [`sources`](Self::sources), and for a configuration beside `--from`.
    pub(crate) fn sources_alone(
        &self,
        config: &ConfigArgs,
    ) -> Result<Vec<SourceConfig>, CommandError> {
        if self.from.is_empty() {
            config.refuse_settings_outside(&["source"], &[])?;
            return self.sources(config, None).map(|(sources, _)| sources);
        }
        config.refuse()?;
        let sources = self.named_sources()?;
        sources.iter().filter_map(SourceConfig::path).try_for_each(probe)?;
        Ok(sources)
    }

    /// Returns the configuration of the listener, and prints the warnings about it.
    ///
    /// A configuration that stands alone is a layer over the default file.
    fn listener_config(
        &self,
        config: &ConfigArgs,
        to: Option<&Path>,
    ) -> Result<Config, CommandError> {
        let has_from = !self.from.is_empty();
        let keys: &[&str] =
            if has_from { &["listener", "redact"] } else { &["listener", "redact", "source"] };
        let is_alone = self.from.len() == 1 && config.files().is_empty();
        let only = self.from.first().map(Path::new);
        let only = only.filter(|path| is_alone && is_configuration(path));
        let to_option = to.map(|_| "`--to`");
        let options: Vec<_> = has_from.then_some("`--from`").into_iter().chain(to_option).collect();
        let loaded = config.load_listener(keys, only, &options, to.is_some())?;
        for warning in loaded.warnings() {
            print_warning(format_args!("{warning}"));
        }
        if only.is_none() {
            self.warn_of_unread_settings(config.files())?;
        }
        Ok(loaded)
    }

    /// Warns about configurations that name sources only, although they set the listener: all but the `read` files.
    fn warn_of_unread_settings(&self, read: &[PathBuf]) -> Result<(), CommandError> {
        let is_read = |path: &Path| read.iter().any(|file| file == path);
        let files = self.from.iter().map(Path::new);
        for path in files.filter(|path| is_configuration(path) && !is_read(path)) {
            let config = Layers::new().file(path).map_err(unreadable_file)?.build()?;
            if sets_listener(&config) {
                print_warning(format_args!(
                    "`listener` and `redact` of `{}` have no effect beside `-c` or another `--from`: name \
                     the file with `-c` too",
                    display_path(path)
                ));
            }
        }
        Ok(())
    }

    /// Returns the sources that the option names.
    fn named_sources(&self) -> Result<Vec<SourceConfig>, CommandError> {
        let mut sources = Vec::new();
        for location in &self.from {
            sources.extend(SourceConfig::from_location(location).map_err(unreadable_file)?);
        }
        Ok(sources)
    }
}

impl SourceArgs {
    /// Returns the directory of an archive, if `--from` names one.
    ///
    /// # Errors
    ///
    /// Returns an error if `--from` names something else beside it, or with a checkpoint.
    pub(crate) fn archive(&self) -> Result<Option<&Path>, CommandError> {
        let locations = self.locations.from.iter().map(Path::new);
        let Some(directory) = locations.clone().find(|path| path.is_dir()) else { return Ok(None) };
        let message = if locations.count() > 1 {
            "an archive is replayed by itself: name it alone with `--from`"
        } else if self.checkpoint.is_some() {
            "an archive has no checkpoint: choose its part with `--since` and `--until`"
        } else {
            return Ok(Some(directory));
        };
        Err(CommandError::new(ExitStatus::PermanentError, message))
    }

    /// Returns the sources that the options name, each as `adapt` changes it, and the configuration of their
    /// listener. Prints the warnings about both. `to` is the configuration of the destination.
    ///
    /// `--checkpoint` comes after `adapt`, which changes only what a configuration says.
    ///
    /// # Errors
    ///
    /// Returns an error if a configuration is invalid, if a file cannot be used, for a `--set` without effect, and
    /// for a checkpoint of anything but a single file.
    pub(crate) fn sources(
        &self,
        config: &ConfigArgs,
        to: Option<&Path>,
        adapt: fn(SourceConfig) -> SourceConfig,
    ) -> Result<(Vec<SourceConfig>, Config), CommandError> {
        let (sources, config) = self.locations.sources(config, to)?;
        let mut sources: Vec<_> = sources.into_iter().map(adapt).collect();
        // One file may name both the sources and the listener.
        let is_new = |warning: &&String| !config.warnings().contains(warning);
        for warning in sources.iter().flat_map(SourceConfig::warnings).filter(is_new) {
            print_warning(format_args!("{warning}"));
        }
        if let Some(path) = &self.checkpoint {
            let [source] = sources.as_mut_slice() else {
                let message =
                    "--checkpoint needs a single source: run the command once for each source";
                return Err(CommandError::new(ExitStatus::PermanentError, message));
            };
            if source.path().is_none() {
                let message = if source.has_end() {
                    "--checkpoint is for files: name one with `--from` instead of standard input"
                } else {
                    "--checkpoint is for files: use `listen --tap NAME` to continue at a broker"
                };
                return Err(CommandError::new(ExitStatus::PermanentError, message));
            }
            *source = source.clone().checkpoint(path);
        }
        self.checkpoint.iter().try_for_each(|path| probe_for_writing(path))?;
        Ok((sources, self.with_dead_letters(config)?))
    }

    /// Returns the configuration of the listener, and prints the warnings about it.
    ///
    /// # Errors
    ///
    /// As [`sources`](Self::sources).
    pub(crate) fn listener_config(
        &self,
        config: &ConfigArgs,
        to: Option<&Path>,
    ) -> Result<Config, CommandError> {
        self.with_dead_letters(self.locations.listener_config(config, to)?)
    }

    /// Returns the configuration with the dead-letter file of the option, if that names one.
    fn with_dead_letters(&self, config: Config) -> Result<Config, CommandError> {
        let Some(path) = &self.dead_letters else {
            config.dead_letters().map_or(Ok(()), probe_type)?;
            return Ok(config);
        };
        probe_for_writing(path)?;
        Ok(config.with_dead_letters(path))
    }
}

/// Returns whether a place of `--from` is a configuration with tables `[[source]]`.
fn is_configuration(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml") && path.is_file()
}

/// Returns whether a configuration sets a key that concerns the listener and no source.
fn sets_listener(config: &Config) -> bool {
    let is_set = config.entries().iter().any(|entry| {
        let is_read = entry.key == "redact" || entry.key.starts_with("listener.");
        is_read && entry.origin != "default"
    });
    // With tables `[[destination]]`, each of them has an entry instead.
    is_set || config.encoding().redact != Redact::default()
}

/// Prints that the command waits for standard input, if one of the sources is that and it is a terminal.
pub(crate) fn announce_input(sources: &[SourceConfig]) {
    if sources.iter().any(|source| source.has_end() && source.path().is_none()) {
        announce_terminal_input(None);
    }
}

/// Returns the filter of the lines that a selection needs, if there is one.
///
/// Without a filter, lines that hold no notification go to the dead-letter file. So there is none if the
/// configuration names one.
pub(crate) fn line_filter(selection: &EventFilter, config: &Config) -> Option<LineFilter> {
    selection.line_filter().filter(|_| config.dead_letters().is_none())
}

#[cfg(feature = "rabbit")]
impl TapArgs {
    /// Returns the sources with the queue of their brokers: a durable tap, or queues of others.
    ///
    /// # Errors
    ///
    /// Returns an error without a broker, or without a dead-letter file if queues are consumed.
    pub(crate) fn choose_queues(
        &self,
        mut sources: Vec<SourceConfig>,
        config: &Config,
    ) -> Result<Vec<SourceConfig>, CommandError> {
        let queue = match &self.tap {
            Some(name) => {
                SourceQueue::Durable { name: name.clone(), queue_type: QueueType::default() }
            }
            None if self.consume.is_empty() => return Ok(sources),
            None => SourceQueue::Shared { queues: self.consume.clone() },
        };
        let fail = |message: &str| Err(CommandError::new(ExitStatus::PermanentError, message));
        let mut brokers = sources.iter_mut().filter_map(SourceConfig::broker_mut).peekable();
        if brokers.peek().is_none() {
            return fail("--tap and --consume need a broker: name one with `--from`");
        }
        if !self.consume.is_empty() && config.dead_letters().is_none() {
            return fail(
                "--consume takes notifications from others: name a file with `--dead-letters`, or set \
                 `listener.dead_letters`, so that none is lost that cannot be handled",
            );
        }
        brokers.for_each(|broker| broker.queue = queue.clone());
        for queue in &self.consume {
            print_warning(format_args!(
                "the other consumers of the queue `{}` do not get what this command takes from it",
                printable(queue, 255)
            ));
        }
        Ok(sources)
    }
}

/// Checks that a file can be written, or created in its directory.
fn probe_for_writing(path: &Path) -> Result<(), CommandError> {
    probe_type(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let (place, access) = if path.exists() {
        (path, Access::WRITE_OK)
    } else {
        (directory.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)
    };
    access_file(place, access).map_err(|error| write_error(path, &error.into()))
}

/// Checks that no device, FIFO or socket is in place of a file that the command writes.
fn probe_type(path: &Path) -> Result<(), CommandError> {
    refuse_special_file_at(path).map_err(|error| write_error(path, &error))
}

/// Returns the error of a file that cannot be written.
fn write_error(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::file(&format!("cannot write `{}`", display_path(path)), error)
}

/// Opens a file once, so that a command that cannot read it ends at once and in its own words. A source reads a
/// file again by its name, which nothing but a regular file allows.
fn probe(path: &Path) -> Result<(), CommandError> {
    let name = display_path(path);
    let open = || {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
        }
        // Opening a pipe would wait for its writer.
        if metadata.is_file() {
            File::open(path)?;
        }
        Ok(metadata.is_file())
    };
    let is_file = open().map_err(|error| read_error(&name, &error))?;
    if is_file {
        return Ok(());
    }
    Err(CommandError::new(
        ExitStatus::PermanentError,
        format!("`{name}` is not a regular file: pipe it to standard input"),
    ))
}

#[cfg(test)]
#[cfg(feature = "rabbit")]
mod tests {
    use super::*;

    /// The queues of a configuration belong to the program that it is for: only the command line names
    /// another one than a temporary tap.
    #[test]
    fn only_the_command_line_chooses_a_queue() {
        let shared = SourceQueue::Shared { queues: vec!["notifications.info".into()] };
        let durable =
            SourceQueue::Durable { name: "mine".into(), queue_type: QueueType::default() };
        for queue in [
            "",
            "queue = 'audit'",
            "queue = 'audit'\nqueue_type = 'stream'\ncheckpoint = 'position'",
            "pool = 'audit'",
            "consume = ['audit']",
            "consume = ['audit']\nqueue_type = 'stream'\ncheckpoint = 'position'",
        ] {
            let table = format!(
                "listener.dead_letters = 'dead.jsonl'\n\
                 [[source]]\nhost = 'localhost'\nexchanges = ['ours']\n{queue}"
            );
            let config: Config = table.parse().unwrap();
            let chosen = |tap: Option<&str>, consume: &[&str]| {
                let sources = config.sources().unwrap().into_iter().map(SourceConfig::into_tap);
                let args = TapArgs {
                    tap: tap.map(str::to_owned),
                    consume: consume.iter().copied().map(str::to_owned).collect(),
                };
                let sources = args.choose_queues(sources.collect(), &config).unwrap();
                let broker = sources[0].broker().unwrap();
                assert_eq!(broker.exchanges, ["ours"], "{queue}");
                broker.queue.clone()
            };
            assert_eq!(chosen(None, &[]), SourceQueue::Temporary, "{queue}");
            assert_eq!(chosen(Some("mine"), &[]), durable, "{queue}");
            assert_eq!(chosen(None, &["notifications.info"]), shared, "{queue}");
        }
    }

    /// Taking from others needs a dead-letter file, whether an option or the configuration names it.
    #[test]
    fn consuming_needs_a_dead_letter_file() {
        let args = TapArgs { tap: None, consume: vec!["notifications.info".into()] };
        let source = || SourceConfig::from_location("amqp://localhost").unwrap();
        let error = args.choose_queues(source(), &Config::default()).unwrap_err();
        assert!(error.message.contains("set `listener.dead_letters`"), "{}", error.message);
        let configured: Config = "listener.dead_letters = 'dead.jsonl'".parse().unwrap();
        for config in [configured, Config::default().with_dead_letters("dead.jsonl")] {
            args.choose_queues(source(), &config).unwrap();
        }
    }
}
