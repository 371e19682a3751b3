//! `glance-notify report`: missing outcomes and usage.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::question::{
    AnswerCell, AnswerTable, EventFilter, ReportGroup, StorageReport, StuckItem, StuckReport,
    UsageKind, UsageReport, read_catalogue,
};
use notify_archive::store::{ReadScope, RecordDetail};

use super::answer_output::print_answer;
use super::question_args::{AnswerFormat, Question, QuestionArgs};
use super::record_input::{RecordRequest, count_usage, read_records, stored_baseline};
use crate::arguments::number_in;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{display_path, read_file};

/// Report missing outcomes, transfers, storage, failures, deletions and activity.
#[derive(clap::Args)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    report: ReportCommand,
}

#[derive(clap::Subcommand)]
enum ReportCommand {
    Stuck(StuckArgs),
    /// Bytes that Glance sent, by the receiving project. A lower bound: Nova reads images in Ceph itself.
    Transfers(UsageArgs),
    Storage(StorageArgs),
    /// Failed uploads, downloads and tasks, by the owner.
    Failures(UsageArgs),
    /// Deleted images, by the owner. The owner is not the actor: ask `who`.
    Deletions(UsageArgs),
    /// All events of images and tasks, by the owner.
    Activity(UsageArgs),
}

/// Uploads, imports and tasks without an outcome, and images that wait for the scrubber, each with the
/// place to look at next. No outcome means that no event tells one, not that something failed.
#[derive(clap::Args)]
#[command(mut_arg("output", AnswerFormat::without_raw))]
struct StuckArgs {
    #[command(flatten)]
    question: QuestionArgs,

    /// Only if the last event is at least this old, in minutes, at the time of `--until`, at most
    /// now. Without `--until`, that is the time of the last event.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    #[arg(value_parser = number_in(0..=u32::MAX))]
    older_than: u32,
}

/// GiB-hours that images occupied. Uploads before the first event are missing without `--baseline`. It needs all
/// events of an image, so `--event` and `--priority` are refused.
#[derive(clap::Args)]
struct StorageArgs {
    #[command(flatten)]
    usage: UsageArgs,

    /// The catalogue of images, as Glance's API lists it (`GET /v2/images`).
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(mut_arg("output", AnswerFormat::without_raw))]
struct UsageArgs {
    #[command(flatten)]
    question: QuestionArgs,

    /// The groups, one row each.
    #[arg(long, value_name = "GROUP", default_value = "project")]
    by: GroupArg,
}

/// The groups of a report.
#[derive(Clone, Copy, clap::ValueEnum)]
enum GroupArg {
    Project,
    Image,
    Region,
    Day,
    Month,
}

/// Prints a report.
///
/// # Errors
///
/// Returns an error if an input cannot be read or an option is wrong.
pub(crate) fn run(args: &ReportArgs) -> Result<ExitStatus, CommandError> {
    match &args.report {
        ReportCommand::Stuck(args) => stuck(args),
        ReportCommand::Storage(args) => storage(args),
        ReportCommand::Transfers(args) => usage(UsageKind::Transfers, args),
        ReportCommand::Failures(args) => usage(UsageKind::Failures, args),
        ReportCommand::Deletions(args) => usage(UsageKind::Deletions, args),
        ReportCommand::Activity(args) => usage(UsageKind::Activity, args),
    }
}

fn usage(kind: UsageKind, args: &UsageArgs) -> Result<ExitStatus, CommandError> {
    let question = args.question()?;
    let mut report = UsageReport::new(kind, args.by.into(), question.calendar.clone());
    let mut filter = question.filter.clone();
    if filter.events.is_empty() {
        filter.events = kind.events();
    }
    let read = count_usage(&args.question.from, &filter, &question, &mut report)?;
    let mut answer = report.finish(&question.names);
    if kind == UsageKind::Failures && !question.filter.projects.is_empty() {
        answer.notes.push(WITHOUT_OWNER.to_owned());
    }
    print_answer(&answer, &read.coverage, question.format)?;
    Ok(ExitStatus::Success)
}

fn storage(args: &StorageArgs) -> Result<ExitStatus, CommandError> {
    let question = args.usage.question()?;
    // Without the events that they leave out, deleted images would occupy the store until the end.
    if !question.filter.events.is_empty() || !question.filter.priorities.is_empty() {
        return Err(CommandError::new(ExitStatus::PermanentError, NOT_BY_EVENT));
    }
    let mut report = StorageReport::new(args.usage.by.into(), question.calendar.clone())
        .of_projects(question.filter.projects.clone());
    // Events before the interval tell what occupied the store at its begin, and events of other owners tell
    // when an image left a project.
    let mut filter = EventFilter { since: None, projects: Vec::new(), ..question.filter.clone() };
    let mut baseline = Vec::new();
    if let Some(path) = &args.baseline {
        baseline = read_catalogue(&read_file(path)?).map_err(|expected| {
            let message = format!("`{}`: {expected}", display_path(path));
            CommandError::new(ExitStatus::InvalidInput, message)
        })?;
    }
    baseline.extend(stored_baseline(&args.usage.question.from)?);
    let asked = &question.filter.images;
    for image in &baseline {
        if image.name.as_ref().is_some_and(|name| asked.contains(name)) {
            // Its events may have another name.
            filter.images.push(image.id.clone());
        }
    }
    let scope = ReadScope { detail: RecordDetail::Usage, ..ReadScope::default() };
    let request = RecordRequest::Matching(&filter, scope);
    let from = &args.usage.question.from;
    let read = read_records(from, &request, &question, |record| report.add(record))?;
    for image in &baseline {
        // Only its events may have the name that the question asks for.
        if asked.is_empty() || read.images.contains(&image.id) {
            report.add_baseline(image);
        }
    }
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let span = read.span.unwrap_or(epoch..epoch);
    let start = question.filter.since.unwrap_or(span.start);
    let end = question.filter.until.unwrap_or(span.end);
    let interval = StorageReport::plausible(start..end, OffsetDateTime::now_utc());
    let answer = report.finish(interval, &question.names);
    print_answer(&answer, &read.coverage, question.format)?;
    Ok(ExitStatus::Success)
}

fn stuck(args: &StuckArgs) -> Result<ExitStatus, CommandError> {
    let question = refuse_raw(args.question.question()?)?;
    let mut report = StuckReport::default();
    // An outcome can lack what the begin has: a failed upload names no owner. So the report sees whole lives, and
    // the question selects among them.
    let filter = EventFilter {
        events: Vec::new(),
        priorities: Vec::new(),
        projects: Vec::new(),
        ..question.filter.clone()
    };
    let selection =
        EventFilter { images: Vec::new(), projects: Vec::new(), ..question.filter.clone() };
    let (mut selected, mut regions) = (HashSet::new(), BTreeSet::new());
    let request = RecordRequest::Matching(&filter, ReadScope::default());
    let read = read_records(&args.question.from, &request, &question, |record| {
        if selection.accepts(record) {
            selected.extend(record.subject.clone());
        }
        regions.extend(record.arrival.region.clone());
        report.add(record);
    })?;
    let asked = question.filter.until.or(read.span.map(|span| span.end));
    // Neither a time that has not come nor a clock that is ahead makes an upload old.
    let asked = asked.map(|asked| asked.min(OffsetDateTime::now_utc()));
    let now = asked.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut items = report.finish(now, Duration::minutes(args.older_than.into()));
    let projects = &question.filter.projects;
    items.retain(|item| {
        let has_owner = item.owner.as_ref().is_some_and(|owner| projects.contains(owner));
        selected.contains(item.id.as_str()) && (projects.is_empty() || has_owner)
    });
    let table = stuck_table(&items, regions.len() > 1, asked, &question);
    print_answer(&table, &read.coverage, question.format)?;
    Ok(ExitStatus::Success)
}

/// Returns the missing outcomes as a table, with a column of regions where there are several. Without events, there
/// may be no time to which the answer applies.
fn stuck_table(
    items: &[StuckItem],
    has_regions: bool,
    now: Option<OffsetDateTime>,
    question: &Question,
) -> AnswerTable {
    let text = |text: &str| AnswerCell::Text(text.to_owned());
    let optional = |fact: Option<&str>| fact.map_or(AnswerCell::Missing, text);
    let calendar = question.answer_calendar();
    let mut table = AnswerTable::default();
    table.columns = vec!["state", "since", "id", "name", "owner"];
    table.columns.extend(has_regions.then_some("region"));
    table.columns.push("next");
    for item in items {
        let next = match item.possibly_related_failures {
            0 => item.next_step.clone(),
            count => format!(
                "{} ({count} failed uploads there name no image and may be related)",
                item.next_step
            ),
        };
        let mut row = vec![
            text(item.kind.describe()),
            AnswerCell::Text(calendar.shown(item.since)),
            text(&item.id),
            optional(item.name.as_deref()),
            optional(item.owner.as_deref().map(|owner| question.names.shown(owner))),
        ];
        // As `report storage --by region` has it.
        row.extend(has_regions.then(|| text(item.region.as_deref().unwrap_or("unknown"))));
        row.push(AnswerCell::Text(next));
        table.rows.push(row);
    }
    let now = now.map(|now| format!(" at {}", calendar.shown(now))).unwrap_or_default();
    table.notes.push(format!("{} without an outcome{now}.", items.len()));
    table
}

impl UsageArgs {
    fn question(&self) -> Result<Question, CommandError> {
        refuse_raw(self.question.question()?)
    }
}

/// Refuses `-o raw`: an answer of a report is no notification.
fn refuse_raw(question: Question) -> Result<Question, CommandError> {
    if question.format == AnswerFormat::Raw {
        return Err(CommandError::new(ExitStatus::PermanentError, NOT_RAW));
    }
    Ok(question)
}

impl From<GroupArg> for ReportGroup {
    fn from(arg: GroupArg) -> Self {
        match arg {
            GroupArg::Project => Self::Project,
            GroupArg::Image => Self::Image,
            GroupArg::Region => Self::Region,
            GroupArg::Day => Self::Day,
            GroupArg::Month => Self::Month,
        }
    }
}

const WITHOUT_OWNER: &str = "Failures whose event names no project, such as failed uploads, are left out: leave out \
                             `--project` to count them.";
const NOT_BY_EVENT: &str = "storage follows from all events of an image: leave out `--event` and `--priority`, or \
                            select with `--image` and `--project`";
const NOT_RAW: &str = "a report consists of numbers: use `-o text`, `-o csv` or `-o json`, or `search -o raw` \
                       for the notifications";
