//! `glance-notify archive` without a subcommand: the service that fills an archive.
//!
//! * [`metrics`] writes the state of the service as Prometheus metrics.
//! * [`metrics_server`] serves them, and the health check.
//! * [`service_manager`] tells systemd that the service is ready and alive.
//!
//! The library `notify-archive` has the loop: nothing here stores or acknowledges.

mod metrics;
mod metrics_server;
mod service_manager;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glance_notify::listen::{ListenerStats, SourceConfig, builder_of, listener_config};
use glance_notify::time::OffsetDateTime;
use glance_notify::{Config, time};
use notify_archive::ArchiveWriter;
use notify_archive::service::{ArchiveService, OpenUploads, ServiceMonitor, ServiceOptions};
use notify_archive::store::RetentionPolicy;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::metrics_server::MetricsServer;
use self::service_manager::ServiceManager;
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::runtime;
use crate::signals::StopSignals;
use crate::terminal::{counted, print_note, print_warning};

/// The options of the service.
#[derive(clap::Args)]
pub(super) struct ServiceArgs {
    /// Directory of the archive. Default: `archive.dir` of the configuration.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,

    /// Address of the metrics and the health check. Any program that reaches it can read the numbers and the
    /// names of the sources. Port 0 chooses a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9469")]
    metrics_listen: SocketAddr,

    /// The most notifications of one batch. Each batch is one commit.
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    #[arg(value_parser = number_in(0..=u16::MAX))]
    batch: u16,

    /// Remove months that ended at least this many days ago and received nothing since, once an hour and when the
    /// disk is full.
    #[arg(long, value_name = "DAYS", value_parser = number_in(0..=u32::MAX))]
    max_days: Option<u32>,

    /// Remove the oldest months until all files together have at most this many bytes, once an hour and when the
    /// disk is full. The newest file always stays.
    #[arg(long, value_name = "BYTES", value_parser = number_in(0..=u64::MAX))]
    max_bytes: Option<u64>,
}

/// Fills the archive until a signal or the end of all sources.
///
/// # Errors
///
/// Returns an error if the configuration names no archive or no source, if the archive cannot be opened, or if
/// all sources fail permanently before they were ever attached.
pub(super) fn run(args: &ServiceArgs, config: &Config) -> Result<ExitStatus, CommandError> {
    let directory = args.archive.as_deref().or_else(|| config.archive_dir());
    let directory = directory.ok_or_else(|| {
        CommandError::new(
            ExitStatus::PermanentError,
            "no archive: name its directory with `--archive DIR`, or set `archive.dir`",
        )
    })?;
    for warning in config.warnings() {
        print_warning(format_args!("{warning}"));
    }
    let sources = config.sources()?;
    let writer = ArchiveWriter::open(directory)?;
    let runtime = runtime::start()?;
    let filled = runtime.block_on(fill(args, config, &sources, writer, directory));
    runtime.shutdown_background();
    let (stats, monitor) = filled?;
    let totals = monitor.status().totals;
    print_note(format_args!(
        "{} received, {} stored, {} copies, {} unreadable",
        stats.total.received, totals.stored, totals.copies, totals.unreadable
    ));
    // Every other notification comes again, because its source got no acknowledgement.
    let is_complete = stats.total.lost + stats.total.released == 0;
    Ok(if is_complete { ExitStatus::Success } else { ExitStatus::NotDelivered })
}

/// Runs the service with its metrics.
async fn fill(
    args: &ServiceArgs,
    config: &Config,
    sources: &[SourceConfig],
    writer: ArchiveWriter,
    directory: &Path,
) -> Result<(ListenerStats, ServiceMonitor), CommandError> {
    let mut signals = StopSignals::listen()?;
    let server = MetricsServer::bind(args.metrics_listen).await?;
    let mut bounds = listener_config(config);
    // The archive keeps unreadable messages itself.
    bounds.deliver_unreadable = true;
    bounds.prefetch = bounds.prefetch.max(2 * usize::from(args.batch));
    let listener = builder_of(sources, config)?.config(bounds).start()?;
    let mut options = ServiceOptions::default();
    options.batch = args.batch.into();
    options.regions = sources
        .iter()
        .filter_map(|source| Some((source.name().to_owned(), source.region()?.to_owned())))
        .collect();
    options.retention = RetentionPolicy {
        max_age: args.max_days.map(|days| time::Duration::days(days.into())),
        max_bytes: args.max_bytes,
    };
    let service = ArchiveService::new(listener, writer, options)?;
    let monitor = service.monitor();
    print_note(format_args!(
        "archiving {} to {}, metrics on http://{}/metrics",
        counted(sources.len() as u64, "source"),
        display_path(directory),
        server.address()
    ));
    let background = [
        tokio::spawn(server.run(monitor.clone())),
        tokio::spawn(count_stuck_uploads(directory.to_owned(), monitor.clone())),
    ];
    let manager = ServiceManager::start(monitor.clone());
    let stop = async move {
        signals.next().await;
        drop(manager);
    };
    let stats = service.run(stop).await;
    background.iter().for_each(tokio::task::JoinHandle::abort);
    Ok((stats?, monitor))
}

/// Counts the stuck uploads once a minute, on a thread that may block.
async fn count_stuck_uploads(directory: PathBuf, monitor: ServiceMonitor) {
    let mut uploads = OpenUploads::new(&directory, OffsetDateTime::now_utc());
    loop {
        if let Some(oldest) = monitor.take_oldest_stored() {
            uploads.read_from(oldest);
        }
        let (reply, counted) = oneshot::channel();
        let look = move || {
            let count = uploads.count(OffsetDateTime::now_utc());
            drop(reply.send((count, uploads)));
        };
        tokio::task::spawn_blocking(look);
        let Some((count, returned)) = wait_for_count(counted).await else { return };
        uploads = returned;
        match count {
            Ok(count) => monitor.set_stuck_uploads(count),
            Err(error) => tracing::warn!("cannot count the stuck uploads: {error}"),
        }
        tokio::time::sleep(STUCK_INTERVAL).await;
    }
}

/// Waits for a count, and warns once if it takes longer than [`STUCK_INTERVAL`]. Returns `None` if the count
/// panicked.
async fn wait_for_count<T>(mut counted: oneshot::Receiver<T>) -> Option<T> {
    if let Ok(counted) = timeout(STUCK_INTERVAL, &mut counted).await {
        return counted.ok();
    }
    tracing::warn!(
        "counting the stuck uploads takes longer than {} s, and their metric keeps its old value: check the disk \
         of the archive",
        STUCK_INTERVAL.as_secs()
    );
    counted.await.ok()
}

/// The time between two counts of stuck uploads.
const STUCK_INTERVAL: Duration = Duration::from_secs(60);
