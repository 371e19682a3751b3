//! What an answer covers: [`AnswerCoverage`].

use std::io::{self, Write};

use glance_notify::transport::printable;
use notify_archive::question::{Calendar, GapReport, LaneGaps, LaneName, NumberGap};
use serde::Serialize;

use crate::terminal::print_note;

/// The coverage of an answer, and the notifications that are missing by their numbers. As JSON, it is the
/// members `coverage` and `missing` of the answer.
#[derive(Default, Serialize)]
pub(super) struct AnswerCoverage {
    /// All of it in sentences.
    #[serde(rename = "coverage")]
    pub(super) sentences: Vec<String>,
    /// The missing notifications, for an answer from an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<MissingJson>,
}

/// The missing notifications as JSON.
#[derive(Serialize)]
struct MissingJson {
    notifications: u64,
    gaps: u64,
    lanes: Vec<LaneJson>,
}

/// The missing notifications of one lane.
#[derive(Serialize)]
struct LaneJson {
    publisher_id: String,
    lane: String,
    source: Option<String>,
    notifications: u64,
    gaps: u64,
    latest: Vec<GapJson>,
}

/// Consecutive numbers that are missing, between two that are not.
#[derive(Serialize)]
struct GapJson {
    notifications: u64,
    epoch: String,
    after: u64,
    before: u64,
    from: String,
    to: String,
}

impl AnswerCoverage {
    /// Adds missing notifications.
    pub(super) fn add_gaps(&mut self, report: GapReport, calendar: &Calendar) {
        self.sentences.extend(report.sentences(calendar));
        self.missing = Some(MissingJson {
            notifications: report.missing,
            gaps: report.gaps,
            lanes: report.lanes.into_iter().map(LaneJson::new).collect(),
        });
    }

    /// Writes the sentences below an answer, one a line, harmless to a terminal.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_lines(out, &self.sentences)
    }

    /// Prints notes and the sentences to standard error, for an answer whose form has no place for them.
    pub(super) fn print(&self, notes: &[String]) {
        for line in notes.iter().chain(&self.sentences) {
            print_note(format_args!("{line}"));
        }
    }
}

/// Writes lines below an answer, harmless to a terminal.
pub(super) fn write_lines<'a>(
    out: &mut dyn Write,
    lines: impl IntoIterator<Item = &'a String>,
) -> io::Result<()> {
    lines.into_iter().try_for_each(|line| writeln!(out, "{}", printable(line, usize::MAX)))
}

impl LaneJson {
    fn new((name, gaps): (LaneName, LaneGaps)) -> Self {
        Self {
            publisher_id: name.publisher_id,
            lane: name.lane,
            source: name.source,
            notifications: gaps.missing,
            gaps: gaps.gaps,
            latest: gaps.latest.iter().map(GapJson::new).collect(),
        }
    }
}

impl GapJson {
    fn new(gap: &NumberGap) -> Self {
        let calendar = Calendar::utc();
        Self {
            notifications: gap.missing(),
            epoch: gap.epoch.to_string(),
            after: gap.after,
            before: gap.before,
            from: calendar.shown(gap.times.start),
            to: calendar.shown(gap.times.end),
        }
    }
}
