//! The records that a question reads: from files, from standard input, or from an archive.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufReader, IsTerminal};
use std::ops::Range;
use std::path::{Path, PathBuf};

use glance_notify::codec::LineFilter;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use notify_archive::Archive;
use notify_archive::question::{
    CatalogueImage, EventFilter, InputCoverage, UsageReport, unknown_since,
};
use notify_archive::record::{EventRecord, RecordLines, RecordReader};
use notify_archive::store::{ReadScope, RecordDetail, read_gaps};

use super::answer_coverage::AnswerCoverage;
use super::question_args::Question;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::{InputSource, read_error};

/// The records that a question needs.
pub(super) enum RecordRequest<'a> {
    /// Those that pass a filter.
    Matching(&'a EventFilter, ReadScope),
    /// The same, for an answer that does not depend on the first and the last event of the inputs, so that
    /// lines that cannot match need no reading.
    MatchingOnly(&'a EventFilter, ReadScope),
    /// Those that may belong to the life of an image or task, by its id or name.
    LifeOf(&'a str),
}

/// What an answer covers, the times of the first and last event of its inputs, and its images.
#[derive(Default)]
pub(super) struct InputSummary {
    pub(super) coverage: AnswerCoverage,
    pub(super) span: Option<Range<OffsetDateTime>>,
    /// The images of the request, with the ids that the inputs have for their names.
    pub(super) images: Vec<String>,
}

/// Calls `add` with the records of the inputs.
///
/// A copy has the id of an earlier record. It is left out and counted, as are lines without a notification.
/// If an archive has the id of a name, the id counts in all inputs. If a file has it, it counts from there on.
///
/// # Errors
///
/// Returns an error if an input cannot be read, or if there is none.
pub(super) fn read_records(
    from: &[PathBuf],
    request: &RecordRequest<'_>,
    question: &Question,
    mut add: impl FnMut(&EventRecord),
) -> Result<InputSummary, CommandError> {
    let stdin = [PathBuf::from("-")];
    let from = if from.is_empty() { stdin.as_slice() } else { from };
    let mut summary = InputSummary::default();
    let mut coverage = InputCoverage::default();
    let mut ids = HashSet::new();
    // One archive by itself has no copies.
    let several = from.len() > 1;
    let mut archives = Vec::new();
    let mut filter = match request {
        RecordRequest::Matching(filter, _) | RecordRequest::MatchingOnly(filter, _) => {
            (*filter).clone()
        }
        RecordRequest::LifeOf(subject) => {
            EventFilter { images: vec![(*subject).to_owned()], ..EventFilter::default() }
        }
    };
    // The timeline also takes records that name no image.
    let takes_all = matches!(request, RecordRequest::LifeOf(_));
    resolve_names(from, &mut filter)?;
    for path in from {
        if path == Path::new("-") && std::io::stdin().is_terminal() {
            return Err(CommandError::new(ExitStatus::PermanentError, NO_INPUT));
        }
        if path.is_dir() {
            let archive = Archive::open(path)?;
            read_archive(&archive, request, &filter, &mut |record| {
                if several && !ids.insert(record.message_id) {
                    coverage.copies += 1;
                } else {
                    add(record);
                }
            })?;
            summary.add_archive(&archive, request, question)?;
            archives.push(archive);
        } else {
            let lines = match request {
                RecordRequest::MatchingOnly(..) => filter.line_filter(),
                RecordRequest::Matching(..) | RecordRequest::LifeOf(_) => None,
            };
            refuse_source(path)?;
            let input = InputSource::open(Some(path))?;
            read_input(input, lines, &mut coverage, &mut ids, &mut |record| {
                filter.learn(record);
                if takes_all || filter.accepts(record) {
                    add(record);
                }
            })?;
        }
    }
    if !coverage.names.is_empty() {
        summary.widen(coverage.span.map(|(first, last)| first..last));
        summary.coverage.sentences.push(coverage.shown(&question.answer_calendar()));
    }
    summary.add_end(&archives, question)?;
    summary.add_gaps(&archives, question)?;
    summary.images = filter.images;
    Ok(summary)
}

/// Counts the records of the inputs in a report.
///
/// One archive by itself has no copies, so that its database can count.
///
/// # Errors
///
/// Returns an error if an input cannot be read, or if there is none.
pub(super) fn count_usage(
    from: &[PathBuf],
    filter: &EventFilter,
    question: &Question,
    report: &mut UsageReport,
) -> Result<InputSummary, CommandError> {
    let scope = ReadScope { detail: RecordDetail::Usage, ..ReadScope::default() };
    let request = RecordRequest::Matching(filter, scope);
    let (Some(path), true) = (from.first().filter(|path| path.is_dir()), from.len() == 1) else {
        return read_records(from, &request, question, |record| report.add(record));
    };
    let mut filter = filter.clone();
    resolve_names(from, &mut filter)?;
    let archive = Archive::open(path)?;
    archive.count_usage(&filter, scope.deadline, report)?;
    let mut summary = InputSummary { images: filter.images, ..InputSummary::default() };
    summary.add_archive(&archive, &request, question)?;
    let archives = [archive];
    summary.add_end(&archives, question)?;
    summary.add_gaps(&archives, question)?;
    Ok(summary)
}

/// Adds the ids that the archives among the inputs have for the names of a filter.
fn resolve_names(from: &[PathBuf], filter: &mut EventFilter) -> Result<(), CommandError> {
    for path in from.iter().filter(|path| path.is_dir()) {
        Archive::open(path)?.resolve_names(filter, ReadScope::default().deadline)?;
    }
    Ok(())
}

/// Reads an archive, with the filter of the request and the ids of its names.
fn read_archive(
    archive: &Archive,
    request: &RecordRequest<'_>,
    filter: &EventFilter,
    add: &mut dyn FnMut(&EventRecord),
) -> Result<(), CommandError> {
    match request {
        RecordRequest::Matching(_, scope) | RecordRequest::MatchingOnly(_, scope) => {
            archive.read(filter, *scope, add)?;
        }
        RecordRequest::LifeOf(_) => {
            archive.read_life(&filter.images, ReadScope::default().deadline, add)?;
        }
    }
    Ok(())
}

impl InputSummary {
    /// Adds the coverage and the span of an archive.
    fn add_archive(
        &mut self,
        archive: &Archive,
        request: &RecordRequest<'_>,
        question: &Question,
    ) -> Result<(), CommandError> {
        let span = archive.span()?;
        let sentences = archive_coverage(archive, span.as_ref(), request, question)?;
        self.coverage.sentences.extend(sentences);
        self.widen(span);
        Ok(())
    }

    /// Adds since when nothing is known, if no source of the archives is attached any more.
    fn add_end(&mut self, archives: &[Archive], question: &Question) -> Result<(), CommandError> {
        let now = OffsetDateTime::now_utc();
        let mut attached = BTreeMap::<_, Vec<_>>::new();
        let mut until = None;
        for archive in archives {
            for (source, intervals) in archive.attached()? {
                attached.entry(source).or_default().extend(intervals);
            }
            let interval = asked_interval(&question.filter, archive.known_span()?.as_ref(), now);
            until = until.max(interval.map(|interval| interval.end));
        }
        let calendar = question.answer_calendar();
        let sentence = unknown_since(&attached, until.unwrap_or(now), now, &calendar);
        self.coverage.sentences.extend(sentence);
        Ok(())
    }

    /// Adds the numbers that the archives miss together in the interval of the question.
    fn add_gaps(&mut self, archives: &[Archive], question: &Question) -> Result<(), CommandError> {
        if !archives.is_empty() {
            let gaps = read_gaps(archives, &question.filter, ReadScope::default().deadline)?;
            self.coverage.add_gaps(gaps, &question.answer_calendar());
        }
        Ok(())
    }

    /// Widens the span.
    fn widen(&mut self, span: Option<Range<OffsetDateTime>>) {
        self.span = match (self.span.take(), span) {
            (Some(old), Some(new)) => Some(old.start.min(new.start)..old.end.max(new.end)),
            (old, new) => old.or(new),
        };
    }
}

/// Refuses a broker and a configuration, which `listen` takes: as files, they would hold no event.
fn refuse_source(path: &Path) -> Result<(), CommandError> {
    let has_extension = |wanted: &str| path.extension().is_some_and(|found| found == wanted);
    // A URL may hold a password, so the message does not repeat it.
    let is_url = path.to_string_lossy().contains("://");
    if is_url || has_extension("toml") || has_extension("conf") {
        return Err(CommandError::new(ExitStatus::PermanentError, NO_SOURCE));
    }
    Ok(())
}

/// Returns the baselines of the archives among the inputs.
///
/// # Errors
///
/// Returns an error if an archive cannot be read.
pub(super) fn stored_baseline(from: &[PathBuf]) -> Result<Vec<CatalogueImage>, CommandError> {
    let mut images = Vec::new();
    for path in from.iter().filter(|path| path.is_dir()) {
        images.extend(Archive::open(path)?.baseline()?);
    }
    Ok(images)
}

/// Returns the coverage of an archive: of each source, or a sentence for one that only holds imports.
fn archive_coverage(
    archive: &Archive,
    span: Option<&Range<OffsetDateTime>>,
    request: &RecordRequest<'_>,
    question: &Question,
) -> Result<Vec<String>, CommandError> {
    let calendar = question.answer_calendar();
    let (known, now) = (archive.known_span()?, OffsetDateTime::now_utc());
    let interval = asked_interval(&question.filter, known.as_ref(), now);
    let coverage = archive.coverage(interval)?;
    let mut lines: Vec<_> = coverage.iter().map(|coverage| coverage.shown(&calendar)).collect();
    // The recorded numbers: a count would read an index of every file for each question.
    let files = archive.file_summaries()?;
    let events = |is_undated: bool| -> u64 {
        files.iter().filter(|f| f.name.is_undated() == is_undated).map(|f| f.events).sum()
    };
    let (dated, undated) = (events(false), events(true));
    let unreadable: u64 = files.iter().map(|file| file.unreadable).sum();
    let leaves_out_undated =
        matches!(request, RecordRequest::Matching(_, scope) if !scope.undated) && undated > 0;
    if lines.is_empty() {
        let span = span.map(|span| {
            let (first, last) = (calendar.shown(span.start), calendar.shown(span.end));
            format!(" from {first} to {last}")
        });
        let undated = (undated > 0 && !leaves_out_undated)
            .then(|| format!(" and {undated} with implausible times"));
        lines.push(format!(
            "coverage: not known for imported files; the archive holds {dated} events{}{}",
            span.unwrap_or_default(),
            undated.unwrap_or_default()
        ));
    }
    if leaves_out_undated {
        lines
            .push(format!("{undated} events with implausible times left out: `search` shows them"));
    }
    if unreadable > 0 {
        lines.push(format!("{unreadable} unreadable messages left out"));
    }
    Ok(lines)
}

/// Returns the interval that a question is about: where it has no begin or no end, that of the known span.
/// `None` stands for all of it. A question about a time after the known span has an empty interval.
///
/// The interval ends at `now` at the latest: a time that has not come is not blind.
fn asked_interval(
    filter: &EventFilter,
    known: Option<&Range<OffsetDateTime>>,
    now: OffsetDateTime,
) -> Option<Range<OffsetDateTime>> {
    let asked = match known {
        Some(span) => filter.since.unwrap_or(span.start)..filter.until.unwrap_or(span.end),
        None => filter.interval()?,
    };
    let end = asked.end.min(now);
    Some(asked.start.min(end)..end)
}

/// Reads one input of lines.
fn read_input(
    input: InputSource,
    filter: Option<LineFilter>,
    coverage: &mut InputCoverage,
    ids: &mut HashSet<Uuid>,
    add: &mut dyn FnMut(&EventRecord),
) -> Result<(), CommandError> {
    let reader = BufReader::with_capacity(BUFFER_BYTES, input.reader);
    let mut lines = RecordLines::new(reader, RecordReader::new(&input.name)).filter(filter);
    while let Some(line) = lines.next_line().map_err(|error| read_error(&input.name, &error))? {
        match line.record {
            Err(_) => coverage.unreadable += 1,
            Ok(record) if !ids.insert(record.message_id) => coverage.copies += 1,
            Ok(record) => {
                coverage.add(&record);
                add(&record);
            }
        }
        if ids.len() > MOST_IDS {
            return Err(CommandError::new(ExitStatus::PermanentError, TOO_MANY));
        }
    }
    coverage.skipped += lines.skipped();
    coverage.names.push(input.name);
    Ok(())
}

/// The size of the read buffer.
const BUFFER_BYTES: usize = 64 * 1024;

/// The most ids that finding copies keeps in memory, about 400 MB.
const MOST_IDS: usize = 10_000_000;

const NO_INPUT: &str = "no input: name a file or an archive with `--from`, or pipe notifications into the \
                        command, as in `glance-notify demo | glance-notify timeline debian-12`";
const NO_SOURCE: &str = "questions read files and archives, no broker and no configuration: name the log or the archive \
                         with `--from`, or use `glance-notify listen --from`";
const TOO_MANY: &str = "more than 10 000 000 events: import the files with `glance-notify archive import` \
                        and ask the archive";

#[cfg(test)]
mod tests {
    use glance_notify::time::Duration;

    use super::*;

    /// The coverage is that of the asked interval, until now. Where it is open, it ends with the known span.
    #[test]
    fn a_question_is_about_its_own_interval() {
        let at = |hour: i64| OffsetDateTime::UNIX_EPOCH + Duration::hours(hour);
        for (since, until, expected) in [
            (None, None, Some(10..20)),
            (Some(15), None, Some(15..20)),
            (None, Some(12), Some(10..12)),
            (Some(5), Some(30), Some(5..30)),
            (Some(25), None, Some(20..20)),
            (None, Some(99), Some(10..40)),
            (Some(50), Some(99), Some(40..40)),
        ] {
            let (since, until) = (since.map(at), until.map(at));
            let filter = EventFilter { since, until, ..EventFilter::default() };
            let expected = expected.map(|hours: Range<i64>| at(hours.start)..at(hours.end));
            assert_eq!(asked_interval(&filter, Some(&(at(10)..at(20))), at(40)), expected);
        }
        // For an empty archive, it is the interval that the question names.
        let (since, until) = (Some(at(5)), Some(at(99)));
        let filter = EventFilter { since, until, ..EventFilter::default() };
        assert_eq!(asked_interval(&filter, None, at(40)), Some(at(5)..at(40)));
    }
}
