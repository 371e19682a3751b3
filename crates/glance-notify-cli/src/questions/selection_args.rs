//! The options that select events, of every command that reads notifications: [`SelectionArgs`].

use std::path::{Path, PathBuf};

use glance_notify::event::Priority;
use glance_notify::time::OffsetDateTime;
use notify_archive::question::{Calendar, EventFilter, EventGlob, ProjectNames};

use crate::arguments::priority_parser;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{display_path, read_file};
use crate::time_zone::TimeZoneArg;

/// The options that select events, and those about their times and projects.
#[derive(clap::Args)]
pub(crate) struct SelectionArgs {
    /// Only events whose type matches this pattern, as in `image.*`. Repeat it for more.
    #[arg(long, value_name = "GLOB")]
    event: Vec<EventGlob>,

    /// Only events of this priority. Repeat it for more.
    #[arg(long, value_parser = priority_parser(), ignore_case = true, value_name = "PRIORITY")]
    priority: Vec<Priority>,

    /// Only events of the image with this id or name. Repeat it for more.
    #[arg(long, value_name = "ID|NAME")]
    image: Vec<String>,

    /// Only events of this project: its id, or its name with `--names`. Repeat it for more.
    #[arg(long, value_name = "ID|NAME")]
    project: Vec<String>,

    /// Only events at or after this time: `2026-11`, `2026-11-24`, `2026-11-24T12:00`, in the time zone of
    /// `--tz`, or with an offset of its own.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only events before this time. A month or a day ends where the next one begins, so `--since 2026-11
    /// --until 2026-12` is all of November.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    #[command(flatten)]
    zone: TimeZoneArg,

    /// Names of projects, as `openstack project list -f json` prints them.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
}

impl SelectionArgs {
    /// Reads the files that the options name, and checks the times.
    ///
    /// # Errors
    ///
    /// Returns an error with the option to change.
    pub(crate) fn read(&self) -> Result<(EventFilter, Calendar, ProjectNames), CommandError> {
        let calendar = self.zone.tz.clone();
        let names = match &self.names {
            Some(path) => read_names(path)?,
            None => ProjectNames::default(),
        };
        let filter = EventFilter {
            events: self.event.clone(),
            priorities: self.priority.clone(),
            images: self.image.clone(),
            projects: self.project.iter().map(|project| names.id(project).to_owned()).collect(),
            ..interval_filter(&calendar, self.since.as_deref(), self.until.as_deref())?
        };
        Ok((filter, calendar, names))
    }
}

/// Returns the filter of the interval that `--since` and `--until` name.
///
/// # Errors
///
/// Returns an error with the option to change.
pub(crate) fn interval_filter(
    calendar: &Calendar,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<EventFilter, CommandError> {
    let filter = EventFilter {
        since: start_of(calendar, "--since", since)?,
        until: start_of(calendar, "--until", until)?,
        ..EventFilter::default()
    };
    match (filter.since, filter.until) {
        (Some(since), Some(until)) if until <= since => Err(CommandError::new(
            ExitStatus::PermanentError,
            "--until is not after --since: the interval is empty",
        )),
        _ => Ok(filter),
    }
}

/// Returns the begin of the time that an option names.
fn start_of(
    calendar: &Calendar,
    option: &str,
    text: Option<&str>,
) -> Result<Option<OffsetDateTime>, CommandError> {
    let Some(text) = text else { return Ok(None) };
    let interval = calendar.interval(text).map_err(|expected| {
        CommandError::new(ExitStatus::PermanentError, format!("{option}: {expected}"))
    })?;
    Ok(Some(interval.start))
}

/// Reads the names of projects.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is no list of projects.
pub(crate) fn read_names(path: &Path) -> Result<ProjectNames, CommandError> {
    ProjectNames::from_json(&read_file(path)?).map_err(|expected| {
        let message = format!("`{}`: {expected}", display_path(path));
        CommandError::new(ExitStatus::PermanentError, message)
    })
}
