//! `glance-notify search`: the events that match, sorted by time.

use std::collections::BTreeMap;

use glance_notify::codec::Context;
use notify_archive::question::{AnswerCell, AnswerTable, Calendar};
use notify_archive::record::EventRecord;
use notify_archive::store::{ReadScope, RecordDetail};

use super::answer_output::print_answer;
use super::question_args::{AnswerFormat, Question, QuestionArgs};
use super::record_input::{RecordRequest, read_records};
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::{print_warning, write_stdout};

/// Search events by type, priority, image, project and time. The answer is sorted by time.
#[derive(clap::Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    question: QuestionArgs,

    /// Show at most this many events, the newest. 0 shows all.
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 1000)]
    #[arg(value_parser = number_in(0..=usize::MAX))]
    limit: usize,
}

/// Prints the events.
///
/// # Errors
///
/// Returns an error if an input cannot be read or an option is wrong.
pub(crate) fn run(args: &SearchArgs) -> Result<ExitStatus, CommandError> {
    let question = args.question.question()?;
    let mut found = BTreeMap::new();
    let mut left_out = 0_u64;
    let scope = ReadScope { detail: RecordDetail::Bodies, undated: true, ..ReadScope::default() };
    let request = RecordRequest::MatchingOnly(&question.filter, scope);
    let read = read_records(&args.question.from, &request, &question, |record| {
        // Two notifications can have one id and one time.
        let place = (record.timestamp, record.message_id, record.body.clone());
        found.insert(place, record.clone());
        if args.limit > 0 && found.len() > args.limit {
            found.pop_first();
            left_out += 1;
        }
    })?;
    if question.format == AnswerFormat::Raw {
        write_stdout(|out| {
            found.values().try_for_each(|record| {
                out.write_all(&record.body)?;
                out.write_all(b"\n")
            })
        })?;
        read.coverage.print(&[]);
    } else {
        print_answer(&table(found.values(), left_out, &question), &read.coverage, question.format)?;
    }
    if left_out > 0 && !question.format.has_notes() {
        print_warning(format_args!("{}", left_out_note(left_out)));
    }
    Ok(if found.is_empty() { ExitStatus::NothingFound } else { ExitStatus::Success })
}

fn table<'a>(
    records: impl Iterator<Item = &'a EventRecord>,
    left_out: u64,
    question: &Question,
) -> AnswerTable {
    let optional = |text: Option<&str>| {
        text.map_or(AnswerCell::Missing, |text| AnswerCell::Text(text.to_owned()))
    };
    let calendar = question.answer_calendar();
    let mut table = AnswerTable::default();
    table.columns =
        vec!["time", "priority", "event_type", "id", "name", "status", "owner", "publisher_id"];
    // A terminal has no room for the context and for ids.
    let has_context = question.format != AnswerFormat::Text;
    if has_context {
        table.columns.extend(CONTEXT_COLUMNS);
        // The names and the time zone of the notification itself.
        table.columns.extend(["message_id", "timestamp"]);
    }
    table.rows.extend(records.map(|record| {
        let mut row = vec![
            AnswerCell::Text(calendar.shown(record.timestamp)),
            optional(Some(record.priority.as_str())),
            optional(Some(record.event_type.as_str())),
            optional(record.subject.as_deref()),
            optional(record.name.as_deref()),
            optional(record.status.as_deref()),
            optional(record.owner.as_deref().map(|owner| question.names.shown(owner))),
            optional(Some(&record.publisher_id)),
        ];
        if has_context {
            row.extend(context_cells(&record.context).map(optional));
            row.push(AnswerCell::Text(record.message_id.to_string()));
            row.push(AnswerCell::Text(Calendar::utc().shown(record.timestamp)));
        }
        row
    }));
    table.notes.push(format!("{} events.", table.rows.len()));
    if left_out > 0 && question.format.has_notes() {
        table.notes.push(left_out_note(left_out));
    }
    table
}

fn left_out_note(left_out: u64) -> String {
    format!("{left_out} older events left out: use `-n` for more, or `-n 0` for all.")
}

/// Returns the parts of a context, in the order of [`CONTEXT_COLUMNS`].
fn context_cells(context: &Context) -> [Option<&str>; CONTEXT_COLUMNS.len()] {
    [
        context.traceparent(),
        context.tracestate(),
        context.request_id(),
        context.user(),
        context.project(),
    ]
}

/// The columns of the context, for programs.
const CONTEXT_COLUMNS: [&str; 5] =
    ["traceparent", "tracestate", "request_id", "request_user", "request_project"];
