//! `glance-notify emit`: reads notifications and delivers them by the configured strategy.
//!
//! ```text
//! input ── reader's thread ──► feeder ── stamp, resend ──► notifier
//!                                └── receipt ──► follow ──► acks, failed, summary
//! ```
//!
//! Everything between is bounded: what is not delivered yet holds up what is read.

mod feed;
mod follow;
mod outputs;
mod summary;

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use glance_notify::Config;
use glance_notify::codec::SizeLimits;
use glance_notify::codec::serde_json::{self, json};
use glance_notify::event::{EventType, Priority};
use serde::de::IgnoredAny;

use self::feed::Feed;
use self::follow::Follow;
use self::outputs::Outputs;
use crate::exit::{Exit, Failure, say};
use crate::source::{Source, show, unreadable};

/// Deliver notifications by the configured strategy.
///
/// Never drops because it is too fast: it waits for room. Ctrl-C and SIGTERM stop the reading and
/// give what was read the configured time to drain; a second one ends at once.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lines of JSON, each `{"event_type", "priority", "payload"}`, or a whole notification, whose id,
    /// publisher and time are kept; standard input where none or `-` is given.
    #[arg(conflicts_with = "event")]
    input: Option<PathBuf>,

    /// Emit one notification of this event instead.
    #[arg(long, value_name = "EVENT_TYPE", value_parser = crate::schema::event_type())]
    #[arg(requires = "payload")]
    event: Option<EventType>,

    /// Its priority.
    #[arg(long, requires = "event", value_parser = priority(), ignore_case = true)]
    #[arg(default_value = "INFO")]
    priority: Priority,

    /// Its payload: JSON, or the name of a file of JSON behind an @.
    #[arg(long, requires = "event", value_name = "JSON|@FILE")]
    payload: Option<String>,

    /// Write the id of each notification on a line of its own in the moment it is delivered; `-` is
    /// standard output. The file is begun anew.
    #[arg(long, value_name = "FILE")]
    acks: Option<PathBuf>,

    /// Write what was not delivered, ready to be emitted again. The file is begun anew.
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,

    /// How the summary is given: in words on standard error, or as one JSON object on standard output.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    summary: Format,

    /// Report invalid lines and go on, rather than stop at the first.
    #[arg(long)]
    skip_invalid: bool,

    /// Give up when nothing was delivered for so many seconds.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    timeout: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

pub(crate) fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let source = args.source()?;
    let outputs = Outputs::open(args)?;
    let builder = glance_notify::builder(config)?;
    // Nothing is dropped for want of room: `--timeout` alone decides when to give up.
    let (notifier, worker) = builder.send_timeout(NEVER).build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Undelivered, format!("cannot start: {error}")))?;
    let summary = runtime.block_on(async {
        let worker = tokio::spawn(worker.run());
        let feed = Feed::start(source, notifier.clone(), args)?;
        let summary = Follow::new(notifier, feed, outputs, config, args)?.run().await;
        drop(worker.await);
        Ok::<_, Failure>(summary)
    });
    // The reader's thread may wait for input for ever.
    runtime.shutdown_background();
    summary?.tell(args.summary)
}

impl Args {
    fn source(&self) -> Result<Source, Failure> {
        let (Some(event), Some(payload)) = (self.event, &self.payload) else {
            return Source::open(self.input.as_ref());
        };
        let payload = match payload.strip_prefix('@') {
            None => payload.clone(),
            Some(path) => read(&PathBuf::from(path))?,
        };
        // It must be one value, and is then kept as it was written.
        let one: Result<IgnoredAny, _> = serde_json::from_str(&payload);
        one.map_err(|error| {
            Failure::new(
                Exit::Invalid,
                format!("--payload: expected JSON (a text in double quotes), found none: {error}"),
            )
        })?;
        let line = format!(
            "{{\"event_type\":{},\"priority\":{},\"payload\":{}}}",
            json!(event),
            json!(self.priority),
            payload.replace(['\n', '\r'], " "),
        );
        Ok(Source {
            name: "--payload".to_owned(),
            reader: Box::new(Cursor::new(line)),
            is_file: true,
        })
    }
}

/// Reads a file of a payload, which may not be larger than a notification.
fn read(path: &PathBuf) -> Result<String, Failure> {
    let Source { name, reader, .. } = Source::open(Some(path))?;
    let limit = SizeLimits::default().bytes as u64;
    let mut text = String::new();
    let read = reader.take(limit + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(&name, &error))?;
    if text.len() as u64 > limit {
        let name = show(path);
        return Err(Failure::new(
            Exit::Invalid,
            format!("`{name}`: expected a payload of at most {limit} bytes, found more"),
        ));
    }
    Ok(text)
}

fn priority() -> impl clap::builder::TypedValueParser<Value = Priority> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Priority::ALL.iter().map(|priority| priority.as_str()))
        .try_map(|name| name.to_ascii_uppercase().parse::<Priority>())
}

/// Takes a number of seconds that somebody may wait.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|duration| !duration.is_zero() && *duration <= NEVER)
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(366 * 24 * 60 * 60);
