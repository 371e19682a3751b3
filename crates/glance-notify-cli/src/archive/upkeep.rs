//! `glance-notify archive backup`, `verify` and `retain`.

use std::path::PathBuf;

use clap::ArgGroup;
use glance_notify::time::{Duration, OffsetDateTime};
use glance_notify::transport::printable;
use glance_notify_cli::json_output::write_json;
use notify_archive::Archive;
use notify_archive::store::RetentionPolicy;

use super::archive_dir::ArchiveDir;
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::output_format::TextOrJson;
use crate::terminal::{counted, print_note, write_stdout};

/// Copy the archive to a new directory, while a writer goes on. The copy is an archive: to restore it, use
/// its directory.
#[derive(clap::Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// New or empty directory for the copy.
    #[arg(value_name = "DIR")]
    to: PathBuf,
}

/// Read every row, compare it with its checksum, and check the structure of every file. The exit code is 2 if
/// there is a problem.
#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    #[command(flatten)]
    output: TextOrJson,
}

/// Remove whole files by age or size, the oldest first. By age, a file stays while it has notifications that
/// were received within the age. By size, the newest file always stays.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("retain-choice")
    .args(["max_days", "max_bytes"])
    .required(true)
    .multiple(true))]
pub(super) struct RetainArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// Remove months that ended at least this many days ago.
    #[arg(long, value_name = "DAYS", value_parser = number_in(0..=u32::MAX))]
    max_days: Option<u32>,

    /// Remove the oldest months until all files together have at most this many bytes.
    #[arg(long, value_name = "BYTES", value_parser = number_in(0..=u64::MAX))]
    max_bytes: Option<u64>,
}

/// Copies the archive.
pub(super) fn backup(args: &BackupArgs) -> Result<ExitStatus, CommandError> {
    Archive::open(&args.dir.archive)?.backup(&args.to)?;
    let copied = Archive::open(&args.to)?.counts()?;
    print_note(format_args!("copied {}", counted(copied.0 + copied.1, "notification")));
    Ok(ExitStatus::Success)
}

/// Prints the result of a verification.
pub(super) fn verify(args: &VerifyArgs) -> Result<ExitStatus, CommandError> {
    let report = Archive::open(&args.dir.archive)?.verify()?;
    write_stdout(|out| {
        if args.output.is_json() {
            return write_json(out, &report);
        }
        for problem in &report.problems {
            let finding = printable(&problem.finding, 1024);
            writeln!(out, "bad: {}: {finding}", printable(&problem.file, 256))?;
        }
        writeln!(
            out,
            "{}, {}, {} erased, {} with a reused id, {}, {}",
            counted(report.files, "file"),
            counted(report.events, "notification"),
            report.erased,
            report.reused,
            counted(report.unreadable, "unreadable message"),
            counted(report.problems.len() as u64, "problem")
        )
    })?;
    let is_good = report.problems.is_empty();
    Ok(if is_good { ExitStatus::Success } else { ExitStatus::PermanentError })
}

/// Removes files.
pub(super) fn retain(args: &RetainArgs) -> Result<ExitStatus, CommandError> {
    let policy = RetentionPolicy {
        max_age: args.max_days.map(|days| Duration::days(days.into())),
        max_bytes: args.max_bytes,
    };
    let mut writer = args.dir.open_existing()?;
    let removed = writer.retain(policy, OffsetDateTime::now_utc())?;
    for name in &removed {
        print_note(format_args!("removed {name}"));
    }
    print_note(format_args!("{} removed", counted(removed.len() as u64, "file")));
    Ok(ExitStatus::Success)
}
