//! `glance-notify timeline`: the life of one image or task.

use std::io::{self, Write};

use glance_notify::time::Duration;
use glance_notify::transport::printable;
use glance_notify_cli::json_output::write_json;
use glance_notify_cli::units::short_duration;
use notify_archive::question::{
    ActorEvidence, ActorFinding, AnswerCell, AnswerTable, PayloadChange, Timeline, TimelineAnswer,
    TimelineEntry,
};
use serde::Serialize;

use super::answer_coverage::AnswerCoverage;
use super::answer_output::write_csv;
use super::question_args::{AnswerFormat, Question, QuestionArgs};
use super::record_input::{RecordRequest, read_records};
use crate::console::{Stream, Tone, paint};
use crate::context_json::ContextJson;
use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Show every event of an image or task in order: the time since the event before, the actor where an
/// audit event or the sender names one, what changed, bytes and receivers of downloads, and anomalies.
#[derive(clap::Args)]
pub(crate) struct TimelineArgs {
    /// Id of an image or task, or name of an image.
    #[arg(value_name = "ID|NAME")]
    subject: String,

    #[command(flatten)]
    question: QuestionArgs,
}

/// Prints the timeline.
///
/// # Errors
///
/// Returns an error if an input cannot be read or an option is wrong.
pub(crate) fn run(args: &TimelineArgs) -> Result<ExitStatus, CommandError> {
    let question = args.question.question()?;
    let (answer, coverage) = ask(&args.subject, &question, &args.question)?;
    let is_empty = answer.entries.is_empty();
    write_stdout(|out| match question.format {
        AnswerFormat::Text if is_empty => write_nothing(out, &coverage),
        AnswerFormat::Text => write_text(out, &answer, &question, &coverage),
        AnswerFormat::Json => write_json(out, &TimelineJson::new(&answer, &coverage)),
        AnswerFormat::Csv => write_csv(out, &table(&answer, &question)),
        AnswerFormat::Raw => answer.entries.iter().try_for_each(|entry| {
            out.write_all(&entry.record.body)?;
            out.write_all(b"\n")
        }),
    })?;
    if !question.format.has_notes() {
        coverage.print(&answer.anomalies);
    }
    Ok(if is_empty { ExitStatus::NothingFound } else { ExitStatus::Success })
}

/// Reads the records and returns the timeline of `subject`, cut by the filter, with the coverage.
///
/// # Errors
///
/// Returns an error if an input cannot be read.
pub(super) fn ask(
    subject: &str,
    question: &Question,
    args: &QuestionArgs,
) -> Result<(TimelineAnswer, AnswerCoverage), CommandError> {
    let mut timeline = Timeline::new(subject);
    let request = RecordRequest::LifeOf(subject);
    let read = read_records(&args.from, &request, question, |record| timeline.add(record))?;
    let mut answer = timeline.finish();
    answer.entries.retain(|entry| question.filter.accepts(&entry.record));
    Ok((answer, read.coverage))
}

/// Writes that there is no event, and the coverage.
pub(super) fn write_nothing(out: &mut dyn Write, coverage: &AnswerCoverage) -> io::Result<()> {
    writeln!(out, "no event")?;
    coverage.write(out)
}

fn write_text(
    out: &mut dyn Write,
    answer: &TimelineAnswer,
    question: &Question,
    coverage: &AnswerCoverage,
) -> io::Result<()> {
    let safe = |text: &str| printable(text, LONGEST_TEXT).to_string();
    let mut day = String::new();
    for entry in &answer.entries {
        let record = &entry.record;
        let this_day = question.calendar.day(record.timestamp);
        if this_day != day {
            writeln!(out, "{this_day}")?;
            day = this_day;
        }
        let since = entry.since_last.map(short_duration).unwrap_or_default();
        let several = answer.ids.len() > 1;
        let id = record.subject.as_deref().filter(|_| several).map(|id| format!("  {}", safe(id)));
        let priority = format!("{:<5}", record.priority.as_str());
        let priority = paint(Stream::Stdout, Tone::of_priority(record.priority), priority);
        writeln!(
            out,
            "  {}  {since:>10}  {priority}  {:<22}  by {}{}{}",
            question.calendar.clock(record.timestamp),
            safe(record.event_type.as_str()),
            shown_actor(&entry.actor, question),
            id.unwrap_or_default(),
            if entry.is_possibly_related { "  (possibly related)" } else { "" },
        )?;
        for line in entry.note.iter().cloned().chain(entry.changes.iter().map(shown_change)) {
            writeln!(out, "{INDENT}{}", safe(&line))?;
        }
    }
    for anomaly in &answer.anomalies {
        writeln!(out, "note: {}", safe(anomaly))?;
    }
    coverage.write(out)
}

/// Returns an actor for people: the name or id of the user, with the project. Says so if only the sender names the
/// user.
fn shown_actor(finding: &ActorFinding, question: &Question) -> String {
    let actor = finding.actor();
    let project = actor.and_then(|actor| actor.project_id.as_deref());
    let project = project.map(|id| format!(" of {}", question.names.shown(id))).unwrap_or_default();
    let shown = printable(&format!("{finding}{project}"), LONGEST_TEXT).to_string();
    match actor.map(|actor| actor.evidence) {
        // A long name does not push these words out of the text.
        Some(evidence @ ActorEvidence::Sender) => format!("{shown} ({evidence})"),
        Some(ActorEvidence::AuditEvent) | None => shown,
    }
}

/// Returns the evidence for an actor, or the reason why it is not known.
pub(super) fn shown_evidence(finding: &ActorFinding) -> String {
    match finding {
        ActorFinding::Known(actor) => actor.evidence.to_string(),
        ActorFinding::Unknown(reason) => (*reason).to_owned(),
    }
}

/// Returns a change as `size: null → 447741952`.
fn shown_change(change: &PayloadChange) -> String {
    let shown = |value: &Option<_>| match value {
        None => "absent".to_owned(),
        Some(glance_notify::codec::serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    format!("{}: {} → {}", change.key, shown(&change.before), shown(&change.after))
}

/// Returns the timeline as a table for CSV.
fn table(answer: &TimelineAnswer, question: &Question) -> AnswerTable {
    let optional = |text: Option<&str>| {
        text.map_or(AnswerCell::Missing, |text| AnswerCell::Text(text.to_owned()))
    };
    let mut table = AnswerTable::default();
    table.columns = vec![
        "time",
        "event_type",
        "priority",
        "id",
        "actor",
        "publisher_id",
        "note",
        "changes",
        "evidence",
    ];
    table.rows.extend(answer.entries.iter().map(|entry| {
        let record = &entry.record;
        let changes: Vec<_> = entry.changes.iter().map(shown_change).collect();
        vec![
            AnswerCell::Text(question.calendar.shown(record.timestamp)),
            optional(Some(record.event_type.as_str())),
            optional(Some(record.priority.as_str())),
            optional(record.subject.as_deref()),
            AnswerCell::Text(entry.actor.to_string()),
            optional(Some(&record.publisher_id)),
            optional(entry.note.as_deref()),
            AnswerCell::Text(changes.join("; ")),
            AnswerCell::Text(shown_evidence(&entry.actor)),
        ]
    }));
    table
}

/// The timeline as JSON.
#[derive(Serialize)]
struct TimelineJson<'a> {
    ids: Vec<&'a str>,
    events: Vec<EntryJson<'a>>,
    anomalies: &'a [String],
    #[serde(flatten)]
    coverage: &'a AnswerCoverage,
}

/// One event as JSON.
#[derive(Serialize)]
struct EntryJson<'a> {
    message_id: String,
    timestamp: String,
    event_type: &'a str,
    priority: &'a str,
    publisher_id: &'a str,
    id: Option<&'a str>,
    seconds_since_last: Option<f64>,
    #[serde(flatten)]
    actor: ActorJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextJson<'a>>,
    changes: &'a [PayloadChange],
    note: Option<&'a str>,
    possibly_related: bool,
}

/// The actor as JSON: the actor, or the reason why it is not known.
#[derive(Serialize)]
pub(super) struct ActorJson<'a> {
    actor: Option<&'a notify_archive::question::Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_unknown: Option<&'static str>,
}

impl<'a> TimelineJson<'a> {
    fn new(answer: &'a TimelineAnswer, coverage: &'a AnswerCoverage) -> Self {
        Self {
            ids: answer.ids.iter().map(AsRef::as_ref).collect(),
            events: answer.entries.iter().map(EntryJson::new).collect(),
            anomalies: &answer.anomalies,
            coverage,
        }
    }
}

impl<'a> EntryJson<'a> {
    fn new(entry: &'a TimelineEntry) -> Self {
        let record = &entry.record;
        Self {
            message_id: record.message_id.to_string(),
            timestamp: notify_archive::question::Calendar::utc().shown(record.timestamp),
            event_type: record.event_type.as_str(),
            priority: record.priority.as_str(),
            publisher_id: &record.publisher_id,
            id: record.subject.as_deref(),
            seconds_since_last: entry.since_last.map(Duration::as_seconds_f64),
            actor: ActorJson::new(&entry.actor),
            context: ContextJson::new(&record.context),
            changes: &entry.changes,
            note: entry.note.as_deref(),
            possibly_related: entry.is_possibly_related,
        }
    }
}

impl<'a> ActorJson<'a> {
    pub(super) fn new(finding: &'a ActorFinding) -> Self {
        let actor_unknown = match finding {
            ActorFinding::Known(_) => None,
            ActorFinding::Unknown(reason) => Some(*reason),
        };
        Self { actor: finding.actor(), actor_unknown }
    }
}

/// The most characters of one text from outside.
const LONGEST_TEXT: usize = 256;

/// The space in front of the details of an event.
const INDENT: &str = "                                  ";
