//! `glance-notify archive`: fills and looks after an archive.
//!
//! The commands are thin: the library `notify-archive` stores, verifies and erases.

mod archive_dir;
mod baseline;
mod erase;
mod export;
pub(crate) mod import;
mod service;
mod upkeep;

use notify_archive::{ArchiveError, ArchiveErrorKind};

use crate::exit_status::{CommandError, ExitStatus};
use crate::settings::ConfigArgs;

/// Store notifications in an archive, one file per month, and look after it. Without a subcommand, run as a
/// service: store what the sources of the configuration deliver, and acknowledge it afterwards.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    command: Option<ArchiveCommand>,

    #[command(flatten)]
    service: service::ServiceArgs,
}

impl ArchiveArgs {
    /// Returns whether to run the service, which is the only one to read the configuration.
    pub(crate) fn is_service(&self) -> bool {
        self.command.is_none()
    }
}

#[derive(clap::Subcommand)]
enum ArchiveCommand {
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Backup(upkeep::BackupArgs),
    Verify(upkeep::VerifyArgs),
    Retain(upkeep::RetainArgs),
    Baseline(baseline::BaselineArgs),
    Erase(erase::EraseArgs),
}

/// Runs a subcommand.
///
/// # Errors
///
/// Returns an error if the archive cannot be used or an option is wrong.
pub(crate) fn run(args: &ArchiveArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let Some(command) = &args.command else {
        let config = config.load_part(&["archive", "listener", "redact", "source"])?;
        return service::run(&args.service, &config);
    };
    match command {
        ArchiveCommand::Import(args) => import::run(args),
        ArchiveCommand::Export(args) => export::run(args),
        ArchiveCommand::Backup(args) => upkeep::backup(args),
        ArchiveCommand::Verify(args) => upkeep::verify(args),
        ArchiveCommand::Retain(args) => upkeep::retain(args),
        ArchiveCommand::Baseline(args) => baseline::run(args),
        ArchiveCommand::Erase(args) => erase::run(args),
    }
}

/// Maps an error that may go away by itself to code 3 and any other to code 2.
impl From<ArchiveError> for CommandError {
    fn from(error: ArchiveError) -> Self {
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
        if let Some(cause) = cause {
            // The message ends with its cause, to which the command adds advice.
            let (message, reason) = (error.to_string(), format!(": {cause}"));
            return Self::file(message.strip_suffix(&reason).unwrap_or(&message), cause);
        }
        let is_transient = error.is_transient() && error.kind() != ArchiveErrorKind::Io;
        let status =
            if is_transient { ExitStatus::NotDelivered } else { ExitStatus::PermanentError };
        Self::new(status, error.to_string())
    }
}
