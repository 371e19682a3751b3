//! `glance-notify archive erase`: erases content for good.

use glance_notify::time::OffsetDateTime;
use notify_archive::store::EraseSelector;

use super::archive_dir::ArchiveDir;
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::print_note;

/// Erase the content of everything that mentions an image, a project or a user, from rows, free pages and
/// logs. Ids and hashes of the notifications remain, so that a replay does not bring them back. Erasure does
/// not reach backups, exports, spools, dead letters and log files: look there yourself.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("selector").required(true))]
pub(super) struct EraseArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// Id of an image.
    #[arg(long, value_name = "ID", group = "selector")]
    image: Option<String>,

    /// Id of a project.
    #[arg(long, value_name = "ID", group = "selector")]
    project: Option<String>,

    /// Id of a user.
    #[arg(long, value_name = "ID", group = "selector")]
    user: Option<String>,

    /// The reason, which the archive keeps. It must not contain the id.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Erases, and prints the remaining steps.
///
/// # Errors
///
/// Returns an error if the selection is too wide or the archive cannot be written.
pub(super) fn run(args: &EraseArgs) -> Result<ExitStatus, CommandError> {
    let image = args.image.clone().map(EraseSelector::Image);
    let project = args.project.clone().map(EraseSelector::Project);
    let user = args.user.clone().map(EraseSelector::User);
    let Some(selector) = image.or(project).or(user) else {
        return Err(CommandError::new(
            ExitStatus::PermanentError,
            "name an image, a project or a user",
        ));
    };
    let mut writer = args.dir.open_existing()?;
    let outcome = writer.erase(&selector, &args.reason, OffsetDateTime::now_utc())?;
    print_note(format_args!(
        "erased {} notifications, {} unreadable messages and {} images of the baseline",
        outcome.events, outcome.unreadable, outcome.baseline
    ));
    print_note(format_args!("not reached: backups, exports, spools, dead letters and log files"));
    Ok(ExitStatus::Success)
}
