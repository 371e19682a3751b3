//! `glance-notify serve`: an archive as web pages.
//!
//! * [`temporary_archive`] holds the notifications of files and of standard input.
//! * [`site_access`] decides which addresses need a token.
//!
//! The library part of this crate has the pages; nothing here renders any.

mod site_access;
mod temporary_archive;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glance_notify_cli::web::{HttpServer, Site, router};
use notify_archive::Archive;
use notify_archive::question::Calendar;

use self::site_access::AccessArgs;
use self::temporary_archive::TemporaryArchive;
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::questions::selection_args::read_names;
use crate::runtime;
use crate::settings::ConfigArgs;
use crate::signals::StopSignals;
use crate::terminal::print_note;

/// Show an archive as web pages: search, the life of an image, stuck uploads and failed tasks, transfers,
/// storage, and the health of the archive. The pages are for browsers on this machine, need no JavaScript, and
/// change nothing. Files and standard input become a temporary archive. Try
/// `glance-notify demo | glance-notify serve`.
#[derive(clap::Args)]
pub(crate) struct ServeArgs {
    /// Directory of an archive, or a file of notifications; `-` is standard input. Default: standard input if
    /// it is a pipe or a file, else `archive.dir` of the configuration.
    #[arg(value_name = "DIR|FILE")]
    input: Option<PathBuf>,

    /// Address of the pages. An address that other machines reach needs `--token-file` or `--behind-proxy`.
    /// Port 0 chooses a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9470")]
    listen: SocketAddr,

    #[command(flatten)]
    access: AccessArgs,

    /// Time zone of viewers who chose none: `UTC`, `local`, an offset such as `+02:00`, or a name such as
    /// `Europe/Berlin`.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone_name)]
    tz: String,

    /// Names of projects, as `openstack project list -f json` prints them.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,

    /// Longest time of one query. A page that needs longer says how to narrow it.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = number_in(0..=u16::MAX))]
    deadline: u16,

    /// Check the options, the archive and the address, and exit without serving a page.
    #[arg(long)]
    check: bool,
}

/// The archive to show.
enum ServedArchive {
    Directory(PathBuf),
    Temporary(TemporaryArchive),
}

/// Serves the pages until SIGINT or SIGTERM.
///
/// # Errors
///
/// Returns an error if there is no archive, if the address cannot be used, or if it needs a token.
pub(crate) fn run(args: &ServeArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let access = args.access.rules(args.listen)?;
    let names = args.names.as_deref().map(read_names).transpose()?.unwrap_or_default();
    let input = args.input(config)?;
    let runtime = runtime::start()?;
    let served = runtime.block_on(async {
        // From now on, a signal ends the command in order: a temporary archive must not stay behind.
        let mut signals = StopSignals::listen()?;
        let Some(archive) = open(input, &mut signals).await? else { return Ok(()) };
        let server = HttpServer::bind(args.listen).await.map_err(|error| {
            let message = format!(
                "cannot listen on {}: {error}: choose another address with `--listen`",
                args.listen
            );
            CommandError::new(ExitStatus::PermanentError, message)
        })?;
        let site = Site::new(archive.directory())
            .label(&archive.label())
            .names(names)
            .access(access)
            .deadline(Duration::from_secs(args.deadline.max(1).into()));
        let site = site
            .zone(&args.tz)
            .map_err(|message| CommandError::new(ExitStatus::PermanentError, message))?;
        if args.check {
            return Ok(());
        }
        print_note(format_args!(
            "serving {} on http://{}/, stop with Ctrl-C",
            archive.label(),
            server.address()
        ));
        tokio::select! {
            () = server.run(router(site)) => {}
            () = signals.next() => {}
        }
        if let ServedArchive::Temporary(archive) = archive {
            archive.discard().await;
        }
        Ok::<_, CommandError>(())
    });
    runtime.shutdown_background();
    served.map(|()| ExitStatus::Success)
}

impl ServeArgs {
    /// Returns the input: `-` for standard input, or a path. Refuses a configuration that would not be read.
    fn input(&self, config: &ConfigArgs) -> Result<PathBuf, CommandError> {
        let standard_input = || is_pipe_or_file().then(|| PathBuf::from("-"));
        if let Some(input) = self.input.clone().or_else(standard_input) {
            config.refuse()?;
            return Ok(input);
        }
        let directory = config.load_part(&["archive"])?.archive_dir().map(Path::to_owned);
        directory.ok_or_else(|| CommandError::new(ExitStatus::PermanentError, NO_INPUT))
    }
}

/// Opens the archive, or reads the input into a temporary one. Returns `None` if a signal comes first.
async fn open(
    input: PathBuf,
    signals: &mut StopSignals,
) -> Result<Option<ServedArchive>, CommandError> {
    if input.is_dir() {
        Archive::open(&input)?;
        return Ok(Some(ServedArchive::Directory(input)));
    }
    if input == Path::new("-") && std::io::stdin().is_terminal() {
        return Err(CommandError::new(ExitStatus::PermanentError, NO_INPUT));
    }
    let archive = TemporaryArchive::new(&input)?;
    let filled = tokio::select! {
        filled = archive.fill(input) => Some(filled),
        () = signals.next() => None,
    };
    let Some(filled) = filled else {
        archive.discard().await;
        return Ok(None);
    };
    filled?;
    Ok(Some(ServedArchive::Temporary(archive)))
}

impl ServedArchive {
    fn directory(&self) -> &Path {
        match self {
            Self::Directory(directory) => directory,
            Self::Temporary(archive) => archive.directory(),
        }
    }

    /// Returns the name of the archive for people.
    fn label(&self) -> String {
        match self {
            Self::Directory(directory) => display_path(directory),
            Self::Temporary(archive) => archive.name().to_owned(),
        }
    }
}

/// Returns whether standard input is a pipe, a socket or a file, so that another program wrote into it.
fn is_pipe_or_file() -> bool {
    use rustix::fs::FileType;
    let status = rustix::fs::fstat(std::io::stdin().as_fd());
    status.is_ok_and(|status| {
        let kind = FileType::from_raw_mode(status.st_mode);
        matches!(kind, FileType::Fifo | FileType::Socket | FileType::RegularFile)
    })
}

/// Checks the name of a time zone.
fn zone_name(text: &str) -> Result<String, String> {
    Calendar::new(text).map(|_| text.to_owned())
}

const NO_INPUT: &str = "no archive: name its directory, as in \
                        `glance-notify serve /var/lib/glance-notify/archive`, set `archive.dir`, or pipe \
                        notifications into the command, as in `glance-notify demo | glance-notify serve`";
