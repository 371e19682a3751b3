//! From a configuration to a running listener.
//!
//! Nothing here touches the network, and only [`check_checkpoints`] the disk. Sources connect when the listener
//! runs.

use notify_core::listener::checkpoint_lock::CheckpointLock;
use notify_core::listener::{DeadLetters, Listener, ListenerBuilder, ListenerConfig};
use notify_core::{Error, ErrorKind, Result};
#[cfg(feature = "rabbit")]
use notify_rabbit::SourceQueue;

use super::source_config::SourceConfig;
use crate::config::configuration::Config;

/// Starts a listener that reads from the sources of the configuration: its tables `[[source]]`.
///
/// It reconnects for as long as it lives, and one source that fails stops no other. The table
/// `[listener]` sets its bounds. `docs/listening.md` describes both tables.
///
/// # Errors
///
/// [`ErrorKind::Config`] if there is no source, if an option is unknown, missing or invalid, if a kind of
/// source is not compiled in, if a source consumes queues of others and `listener.dead_letters` is not set, or
/// outside of a tokio runtime.
///
/// # Examples
///
/// ```no_run
/// # async fn commit<'a>(_: impl Iterator<Item = &'a glance_notify::Notification>) -> glance_notify::Result<()> { Ok(()) }
/// # async fn archive() -> glance_notify::Result<()> {
/// use std::time::Duration;
///
/// let config = glance_notify::Config::load("/etc/glance/audit.toml")?;
/// let mut listener = glance_notify::listen(&config)?;
/// while let Some(batch) = listener.next_batch(500, Duration::from_millis(200)).await? {
///     commit(batch.notifications()).await?; // then, and only then:
///     batch.ack().await?;
/// }
/// # Ok(())
/// # }
/// ```
pub fn listen(config: &Config) -> Result<Listener> {
    builder(config)?.start()
}

/// Returns the builder of a listener that reads from the sources of the configuration.
///
/// Use this instead of [`listen`](crate::listen()) to override parts of the configuration in code.
///
/// # Errors
///
/// [`ErrorKind::Config`], as from [`listen`](crate::listen()).
///
/// # Examples
///
/// Keep unreadable messages, as an archive does:
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// use glance_notify::listen;
///
/// let config: glance_notify::Config = "[[source]]\nfile = \"/var/log/glance/n.log\"".parse()?;
/// let mut bounds = listen::listener_config(&config);
/// bounds.deliver_unreadable = true;
/// let builder = listen::builder(&config)?.config(bounds);
/// # drop(builder);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
pub fn builder(config: &Config) -> Result<ListenerBuilder> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let sources = config.sources()?;
    #[cfg(feature = "rabbit")]
    if config.dead_letters().is_none() {
        check_discarding(&sources)?;
    }
    builder_of(&sources, config)
}

/// Checks whether the listener may discard dead letters. Warns about queues that keep messages.
///
/// # Errors
///
/// Returns an error for a source that takes messages from others: a message that is discarded is lost to them
/// too.
#[cfg(feature = "rabbit")]
fn check_discarding(sources: &[SourceConfig]) -> Result<()> {
    for source in sources {
        let name = source.name();
        match source.broker().map(|broker| &broker.queue) {
            Some(SourceQueue::Shared { .. }) => {
                let message = format!(
                    "the source `{name}` takes messages from others: set `listener.dead_letters`, so that \
                     none is lost that cannot be handled"
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
            Some(SourceQueue::Durable { .. } | SourceQueue::Pool { .. }) => tracing::warn!(
                "the source `{name}` discards messages that cannot be handled: set \
                 `listener.dead_letters` to keep them"
            ),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the builder of a listener that reads from `sources`, with the table `[listener]` of `config`.
///
/// Unlike [`builder`], it accepts queues of others without `listener.dead_letters`: use that for a program that
/// refuses nothing and keeps unreadable messages itself, such as an archive.
///
/// # Errors
///
/// [`ErrorKind::Config`], as from [`listen`](crate::listen()).
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// use glance_notify::Config;
/// use glance_notify::listen::{SourceConfig, builder_of};
///
/// let source = SourceConfig::file("/var/log/glance/notifications.log").named("region-1");
/// let builder = builder_of(&[source], &Config::default())?;
/// # drop(builder);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
pub fn builder_of(sources: &[SourceConfig], config: &Config) -> Result<ListenerBuilder> {
    let Some((first, rest)) = sources.split_first() else {
        return Err(Error::new(
            ErrorKind::Config,
            "no source is configured: add a table `[[source]]` with `file` or `url`",
        ));
    };
    let builder = Listener::builder(first.open()?, dead_letters(config));
    let builder = builder.config(listener_config(config));
    rest.iter().try_fold(builder, |builder, source| Ok(builder.source(source.open()?)))
}

/// Checks that no other process or source reads with the checkpoints of `sources`.
///
/// A listener waits until such a process ends. Call this before you start a listener, if your program should
/// fail instead. The check creates a file `….lock` beside each checkpoint, which stays, and waits up to 1 s for
/// each lock.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if a checkpoint is in use, and the error of a file that cannot be locked.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use glance_notify::ErrorKind;
/// use glance_notify::listen::{SourceConfig, check_checkpoints};
///
/// let directory = tempfile::tempdir()?;
/// let source = |name: &str| SourceConfig::file(name).checkpoint(directory.path().join("position"));
/// check_checkpoints(&[source("a.log")])?;
/// let error = check_checkpoints(&[source("a.log"), source("b.log")]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
pub fn check_checkpoints(sources: &[SourceConfig]) -> Result<()> {
    let paths = sources.iter().filter_map(SourceConfig::checkpoint_path);
    let mut locks: Vec<_> = paths.map(|path| (CheckpointLock::default(), path)).collect();
    // All of them are held until the end, so that two of these sources with one checkpoint are found too.
    locks.iter_mut().try_for_each(|(lock, path)| lock.acquire(path))
}

/// Returns the place of dead letters that the table `[listener]` names. Without one, they are discarded.
///
/// # Examples
///
/// ```
/// use glance_notify::listen::{DeadLetters, dead_letters};
///
/// let config = "listener.dead_letters = \"dead.jsonl\"".parse()?;
/// assert_eq!(dead_letters(&config), DeadLetters::file("dead.jsonl"));
/// # Ok::<(), glance_notify::Error>(())
/// ```
pub fn dead_letters(config: &Config) -> DeadLetters {
    let settings = config.listener();
    match &settings.dead_letters {
        Some(path) => {
            DeadLetters::File { path: path.clone(), max_bytes: settings.max_dead_letter_bytes() }
        }
        None => DeadLetters::Discard,
    }
}

/// Returns the bounds of a listener: the table `[listener]`, and the key `redact`.
///
/// # Examples
///
/// ```
/// let config: glance_notify::Config = "listener.prefetch = 1000".parse()?;
/// assert_eq!(glance_notify::listen::listener_config(&config).prefetch, 1000);
/// # Ok::<(), glance_notify::Error>(())
/// ```
pub fn listener_config(config: &Config) -> ListenerConfig {
    let mut bounds = config.listener().listener_config();
    bounds.redact = config.encoding().redact;
    bounds
}
