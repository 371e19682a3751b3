//! `glance-notify replay`: sends the notifications of files or of an archive to a destination, with the ids and
//! contexts that they have.
//!
//! It is `listen` with an end: the same sources, the same selection, the same forwarding.

use std::path::PathBuf;

use clap::ArgGroup;
use glance_notify::listen::{
    LineSource, Listener, ListenerBuilder, SourceConfig, builder_of, check_checkpoints,
    dead_letters, listener_config,
};
use notify_archive::question::EventFilter;

use crate::archive_lines::ArchiveLines;
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::listen::{
    ForwardTarget, ListenSession, ListenSummary, NotificationHandler, SessionOptions, SourceArgs,
    announce_input, line_filter,
};
use crate::questions::selection_args::SelectionArgs;
use crate::runtime;
use crate::settings::ConfigArgs;

/// Send the notifications of files or of an archive to another destination, unchanged, with their ids and contexts.
///
/// `--from` may also be the directory of an archive. Receivers drop copies by the ids, so you may replay too
/// much. With `--checkpoint`, a replay of a file that was interrupted continues where it was.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("replay-choice")
    .args(["to", "dry_run"])
    .required(true)
    .multiple(true))]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    sources: SourceArgs,

    #[command(flatten)]
    selection: SelectionArgs,

    /// Configuration of the destination.
    #[arg(long, value_name = "CONFIG")]
    to: Option<PathBuf>,

    /// Send at most this many notifications per second.
    #[arg(long, value_name = "NUMBER", value_parser = number_in(1..=u32::MAX))]
    rate: Option<u32>,

    /// Send at most this many notifications.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    #[arg(value_parser = number_in(1..=u64::MAX))]
    limit: Option<u64>,

    /// Send nothing, and count what would be sent.
    #[arg(long, conflicts_with = "checkpoint")]
    dry_run: bool,
}

/// Sends the notifications and prints the summary.
///
/// # Errors
///
/// Returns an error if an option or a configuration is wrong, or if a source has no end.
pub(crate) fn run(args: &ReplayArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let (filter, ..) = args.selection.read()?;
    let to = args.to.as_deref();
    let runtime = runtime::start()?;
    let summary = if let Some(directory) = args.sources.archive()? {
        let config = args.sources.listener_config(config, to)?;
        // The archive selects by itself: a name stands for all events of its image.
        let (lines, end) = ArchiveLines::open(directory, filter)?;
        let name = display_path(directory);
        let source = LineSource::from_lines(name, lines);
        let builder = Listener::builder(source, dead_letters(&config));
        let builder = builder.config(listener_config(&config));
        let keeps = config.dead_letters().is_some();
        let summary = runtime.block_on(send(args, builder, EventFilter::default(), &[], keeps));
        end.check().and(summary)
    } else {
        let (sources, config) = args.sources.sources(config, to, SourceConfig::into_tap)?;
        if sources.iter().any(|source| !source.has_end()) {
            let message =
                "a replay needs files: use `glance-notify listen --to` to forward from a broker";
            return Err(CommandError::new(ExitStatus::PermanentError, message));
        }
        let lines = line_filter(&filter, &config);
        let adapt =
            |source: SourceConfig| source.follow(false).from_end(false).filter(lines.clone());
        let sources: Vec<_> = sources.into_iter().map(adapt).collect();
        check_checkpoints(&sources)?;
        announce_input(&sources);
        let builder = builder_of(&sources, &config)?.config(listener_config(&config));
        let keeps = config.dead_letters().is_some();
        runtime.block_on(send(args, builder, filter, &sources, keeps))
    };
    // A thread may wait for standard input that never comes.
    runtime.shutdown_background();
    summary?.print(ExitStatus::Success)
}

/// Sends what the sources of a listener deliver. `keeps_dead_letters` says whether a file keeps the rest.
async fn send(
    args: &ReplayArgs,
    builder: ListenerBuilder,
    filter: EventFilter,
    sources: &[SourceConfig],
    keeps_dead_letters: bool,
) -> Result<ListenSummary, CommandError> {
    let handler = match &args.to {
        Some(path) if args.dry_run => {
            ForwardTarget::check(path)?;
            NotificationHandler::Count
        }
        Some(path) => NotificationHandler::forward(path, sources)?,
        None => NotificationHandler::Count,
    };
    let options = SessionOptions {
        limit: args.limit,
        idle: None,
        rate: args.rate,
        is_bounded: true,
        keeps_dead_letters,
    };
    let listener = builder.start()?;
    let session = ListenSession::new(&options, filter, sources, handler)?;
    Ok(session.run(listener).await)
}
