//! `glance-notify archive export`: prints the stored notifications.

use std::ops::ControlFlow;

use glance_notify::codec::Context;
use notify_archive::question::Calendar;
use notify_archive::record::EventRecord;
use notify_archive::store::{ReadScope, RecordDetail};
use notify_archive::{Archive, ArchiveError};

use super::archive_dir::ArchiveDir;
use crate::exit_status::{CommandError, ExitStatus};
use crate::questions::answer_output::write_csv_row;
use crate::terminal::{print_note, write_stdout};

/// Print stored notifications in the order of their times. `raw` prints the bodies, ready for
/// `glance-notify emit`, which keeps their ids; `csv` prints the facts without the bodies.
#[derive(clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    dir: ArchiveDir,

    /// Form of the output.
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "raw")]
    format: ExportFormat,

    /// Only events at or after this time: a month, a day or a time.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only events before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ExportFormat {
    Raw,
    Csv,
}

/// Prints the notifications.
///
/// # Errors
///
/// Returns an error if the archive cannot be read or standard output not written.
pub(super) fn run(args: &ExportArgs) -> Result<ExitStatus, CommandError> {
    let calendar = Calendar::utc();
    let filter =
        crate::questions::interval_filter(&calendar, args.since.as_deref(), args.until.as_deref())?;
    let archive = Archive::open(&args.dir.archive)?;
    let deadline = std::time::Duration::from_secs(24 * 60 * 60);
    let detail = match args.format {
        ExportFormat::Raw => RecordDetail::Bodies,
        ExportFormat::Csv => RecordDetail::Facts,
    };
    let scope = ReadScope { detail, undated: true, deadline };
    let (mut exported, mut failure) = (0_u64, None::<ArchiveError>);
    write_stdout(|out| {
        if args.format == ExportFormat::Csv {
            write_csv_row(out, &columns().map(str::to_owned))?;
        }
        let mut written = Ok(());
        // Without a reader of the output, the rest of the archive needs no reading.
        let read = archive.read_while(&filter, scope, |record| {
            exported += 1;
            written = match args.format {
                ExportFormat::Raw => {
                    out.write_all(&record.body).and_then(|()| out.write_all(b"\n"))
                }
                ExportFormat::Csv => write_csv_row(out, &row(record, &calendar)),
            };
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        failure = read.err();
        written
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    print_note(format_args!("{exported} exported"));
    Ok(ExitStatus::Success)
}

/// The columns of CSV.
fn columns() -> [&'static str; 21] {
    [
        "message_id",
        "timestamp",
        "received_at",
        "event_type",
        "priority",
        "publisher_id",
        "source",
        "region",
        "id",
        "name",
        "status",
        "owner",
        "receiver",
        "receiver_user",
        "bytes_sent",
        "size",
        "request_id",
        "request_user",
        "request_project",
        "traceparent",
        "tracestate",
    ]
}

fn row(record: &EventRecord, calendar: &Calendar) -> [String; 21] {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let context =
        |part: fn(&Context) -> Option<&str>| part(&record.context).unwrap_or_default().to_owned();
    let received_at =
        record.arrival.received_at.map(|time| calendar.shown(time)).unwrap_or_default();
    [
        record.message_id.to_string(),
        calendar.shown(record.timestamp),
        received_at,
        record.event_type.as_str().to_owned(),
        record.priority.as_str().to_owned(),
        record.publisher_id.to_string(),
        text(&record.arrival.source),
        text(&record.arrival.region),
        text(&record.subject),
        text(&record.name),
        text(&record.status),
        text(&record.owner),
        text(&record.receiver),
        text(&record.receiver_user),
        number(record.bytes_sent),
        number(record.size),
        context(Context::request_id),
        context(Context::user),
        context(Context::project),
        context(Context::traceparent),
        context(Context::tracestate),
    ]
}
