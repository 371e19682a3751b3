//! Builds a listener: its sources, its settings, and the tasks that drive the sources.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::config::{DeadLetters, ListenerConfig};
use super::dead_letter_writer::DeadLetterWriter;
use super::listener_handle::ListenerHandle;
use super::listener_state::ListenerState;
use super::receiver::Listener;
use super::source_driver::SourceDriver;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::random::random_fraction;
use crate::redact::printable::printable;
use crate::source::Source;

/// Builds a [`Listener`]. [`Listener::builder`] creates it.
///
/// # Examples
///
/// Two sources, with a dead-letter file and a larger prefetch:
///
/// ```
/// # use notify_conformance::source_script::SourceScript;
/// use notify_core::listener::{DeadLetters, Listener, ListenerConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("dead.jsonl");
/// # let source = |name| SourceScript::default().source_named(name);
/// let mut config = ListenerConfig::default();
/// config.prefetch = 1_000;
/// let listener = Listener::builder(source("region-1"), DeadLetters::file(path))
///     .source(source("region-2"))
///     .config(config)
///     .start()?;
/// assert_eq!(listener.stats().sources.len(), 2);
/// # Ok(())
/// # }
/// ```
pub struct ListenerBuilder {
    sources: Vec<Box<dyn Source>>,
    dead_letters: DeadLetters,
    config: ListenerConfig,
    random: Box<dyn FnMut() -> f64 + Send>,
}

impl Listener {
    /// Starts building a listener that reads from `source`.
    ///
    /// Deliveries that cannot be handled go to `dead_letters`.
    pub fn builder(source: impl Source + 'static, dead_letters: DeadLetters) -> ListenerBuilder {
        ListenerBuilder {
            sources: vec![Box::new(source)],
            dead_letters,
            config: ListenerConfig::default(),
            random: Box::new(random_fraction),
        }
    }
}

impl ListenerBuilder {
    /// Adds another source. One source that fails stops no other.
    #[must_use]
    pub fn source(mut self, source: impl Source + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Sets the bounds of the listener.
    #[must_use]
    pub fn config(mut self, config: ListenerConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the random numbers from 0 to 1 that make waits differ, for tests that repeat a run.
    ///
    /// By default they come from the operating system.
    #[must_use]
    pub fn random(mut self, random: impl FnMut() -> f64 + Send + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// Starts one task for each source, on the current tokio runtime. Its timer must be enabled: without
    /// it every task panics, and [`Listener::next_batch`] returns an error that says so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] outside of a tokio runtime, for a prefetch or a number of attempts of 0,
    /// and for two sources of one name.
    pub fn start(self) -> Result<Listener> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(config_error("start the listener within a tokio runtime"));
        };
        if self.config.prefetch == 0 || self.config.attempts == 0 {
            return Err(config_error("the listener needs a prefetch and attempts of at least 1"));
        }
        let mut names: Vec<_> = self.sources.iter().map(Source::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = printable(pair[0], 64);
            return Err(config_error(format!("two sources have the name `{name}`")));
        }
        let entries = self
            .sources
            .iter()
            .map(|source| (Arc::from(source.name()), source.settlement_mode()))
            .collect();
        let state = ListenerState::new(self.config, entries, self.random);
        let shared = Arc::new(ListenerHandle::new(state));
        let writer = Arc::new(DeadLetterWriter::new(self.dead_letters));
        let drive = |(index, source)| {
            let (shared, writer) = (Arc::clone(&shared), Arc::clone(&writer));
            runtime.spawn(SourceDriver::new(index, source, shared, writer).run())
        };
        let drivers = self.sources.into_iter().enumerate().map(drive).collect();
        Ok(Listener::new(shared, drivers))
    }
}

/// Shows the sources and the bounds.
impl fmt::Debug for ListenerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerBuilder")
            .field("sources", &self.sources)
            .field("dead_letters", &self.dead_letters)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Returns an error of a listener that cannot start.
fn config_error(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}
