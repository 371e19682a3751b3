//! `glance-notify who`: the actors of an image's events.

use std::io::{self, Write};

use glance_notify_cli::json_output::write_json;
use notify_archive::question::{AnswerCell, AnswerTable, TimelineAnswer, TimelineEntry};
use serde::Serialize;

use super::answer_coverage::AnswerCoverage;
use super::answer_output::{write_csv, write_table};
use super::question_args::{AnswerFormat, Question, QuestionArgs};
use super::timeline::{ActorJson, ask, shown_evidence, write_nothing};
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Show who caused the events of an image. Audit events of keystonemiddleware name an actor. Prefixes of log lines and
/// contexts of messages do so too, and are shown as named by the sender: any program with access to the broker can
/// write them. Otherwise the actor is unknown. The owner of an image is never taken for the actor.
#[derive(clap::Args)]
pub(crate) struct WhoArgs {
    /// Id of an image or task, or name of an image.
    #[arg(value_name = "ID|NAME")]
    subject: String,

    #[command(flatten)]
    question: QuestionArgs,
}

/// Prints the actors.
///
/// # Errors
///
/// Returns an error if an input cannot be read or an option is wrong.
pub(crate) fn run(args: &WhoArgs) -> Result<ExitStatus, CommandError> {
    let question = args.question.question()?;
    let (mut answer, coverage) = ask(&args.subject, &question, &args.question)?;
    answer.entries.retain(|entry| !entry.is_possibly_related);
    let is_empty = answer.entries.is_empty();
    write_stdout(|out| match question.format {
        AnswerFormat::Text if is_empty => write_nothing(out, &coverage),
        AnswerFormat::Text => write_text(out, &answer, &question, &coverage),
        AnswerFormat::Csv => write_csv(out, &table(&answer, &question)),
        AnswerFormat::Json => write_json(out, &WhoJson::new(&answer, &coverage)),
        AnswerFormat::Raw => answer.entries.iter().try_for_each(|entry| {
            out.write_all(&entry.record.body)?;
            out.write_all(b"\n")
        }),
    })?;
    if !question.format.has_notes() {
        coverage.print(&[]);
    }
    Ok(if is_empty { ExitStatus::NothingFound } else { ExitStatus::Success })
}

fn write_text(
    out: &mut dyn Write,
    answer: &TimelineAnswer,
    question: &Question,
    coverage: &AnswerCoverage,
) -> io::Result<()> {
    write_table(out, &table(answer, question))?;
    coverage.write(out)
}

fn table(answer: &TimelineAnswer, question: &Question) -> AnswerTable {
    let mut table = AnswerTable::default();
    table.columns =
        vec!["time", "event_type", "id", "actor", "project", "address", "request", "evidence"];
    table.rows.extend(answer.entries.iter().map(|entry| row(entry, question)));
    table
}

fn row(entry: &TimelineEntry, question: &Question) -> Vec<AnswerCell> {
    let optional = |text: Option<&str>| {
        text.map_or(AnswerCell::Missing, |text| AnswerCell::Text(text.to_owned()))
    };
    let actor = entry.actor.actor();
    let event_type = match &entry.note {
        Some(note) if entry.record.is_audit() => note.as_str(),
        _ => entry.record.event_type.as_str(),
    };
    vec![
        AnswerCell::Text(question.calendar.shown(entry.record.timestamp)),
        optional(Some(event_type)),
        optional(entry.record.subject.as_deref()),
        AnswerCell::Text(entry.actor.to_string()),
        optional(
            actor.and_then(|actor| actor.project_id.as_deref()).map(|id| question.names.shown(id)),
        ),
        optional(actor.and_then(|actor| actor.address.as_deref())),
        optional(actor.and_then(|actor| actor.request_id.as_deref())),
        AnswerCell::Text(shown_evidence(&entry.actor)),
    ]
}

/// The answer as JSON.
#[derive(Serialize)]
struct WhoJson<'a> {
    events: Vec<WhoEventJson<'a>>,
    #[serde(flatten)]
    coverage: &'a AnswerCoverage,
}

/// One event as JSON.
#[derive(Serialize)]
struct WhoEventJson<'a> {
    message_id: String,
    timestamp: String,
    event_type: &'a str,
    id: Option<&'a str>,
    #[serde(flatten)]
    actor: ActorJson<'a>,
}

impl<'a> WhoJson<'a> {
    fn new(answer: &'a TimelineAnswer, coverage: &'a AnswerCoverage) -> Self {
        let event = |entry: &'a TimelineEntry| WhoEventJson {
            message_id: entry.record.message_id.to_string(),
            timestamp: notify_archive::question::Calendar::utc().shown(entry.record.timestamp),
            event_type: entry.record.event_type.as_str(),
            id: entry.record.subject.as_deref(),
            actor: ActorJson::new(&entry.actor),
        };
        Self { events: answer.entries.iter().map(event).collect(), coverage }
    }
}
