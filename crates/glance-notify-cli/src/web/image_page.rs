//! The pages `/image` and `/task`: the life of one image or task.

use askama::Template;
use axum::http::StatusCode;
use glance_notify::codec::serde_json::Value;
use glance_notify::event::{EventType, Priority};
use glance_notify::time::OffsetDateTime;
use notify_archive::question::{
    ActorFinding, PayloadChange, Timeline, TimelineAnswer, TimelineEntry,
};
use notify_archive::record::EventRecord;

use super::archive_overview::ArchiveOverview;
use super::drawing::WIDTHS;
use super::drawing::life_diagram::{LifeDiagram, caption};
use super::event_line::PriorityBadge;
use super::life_phase::LifeStatus;
use super::life_records::{LifeRecords, MOST_LINES};
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_query::PageParameter;
use super::page_request::{
    EVENT_PATH, JSON_PATH, PageContent, PageRequest, PageTime, SEARCH_PATH, TASK_PATH,
};
use super::page_text::PageText;
use super::units::{grouped, shown_duration};
use crate::units::short_bytes;

/// The page.
#[derive(Template)]
#[template(path = "image.html")]
struct LifeTemplate {
    frame: PageFrame,
    kind: &'static str,
    title: PageText,
    id: PageText,
    status: LifeStatus,
    facts: Vec<LifeFact>,
    anomalies: Vec<PageText>,
    drawings: Vec<LifeDiagram>,
    /// A sentence about the events of the drawing and of the list.
    caption: String,
    events: Vec<ImageEventRow>,
    /// A sentence about events that the page leaves out.
    left_out: Option<String>,
    downloads: Vec<DownloadLine>,
    download_summary: String,
    search_url: String,
    events_url: Option<String>,
}

/// The page of a name that several images have.
#[derive(Template)]
#[template(path = "images.html")]
struct NamesakesTemplate {
    frame: PageFrame,
    name: PageText,
    images: Vec<(PageText, Option<String>)>,
}

/// One fact about the image.
struct LifeFact {
    name: &'static str,
    value: PageText,
    url: Option<String>,
}

/// One event of the life.
struct ImageEventRow {
    time: PageTime,
    since_last: Option<String>,
    event_type: PageText,
    priority: PriorityBadge,
    mark: &'static str,
    actor: ActorText,
    sender: PageText,
    /// The `traceparent` of W3C Trace Context.
    trace: Option<PageText>,
    note: Option<PageText>,
    changes: Vec<ChangeLine>,
    is_possibly_related: bool,
    event_url: String,
    json_url: String,
}

/// The actor of an event in words: with the evidence, or with the reason why it is not known.
struct ActorText {
    name: PageText,
    detail: PageText,
    is_known: bool,
}

/// One difference to the event before.
struct ChangeLine {
    key: PageText,
    before: PageText,
    after: PageText,
}

/// One download.
struct DownloadLine {
    time: PageTime,
    bytes: String,
    exact_bytes: String,
    project: PageText,
    user: PageText,
    address: PageText,
    is_complete: bool,
    actor: ActorText,
    json_url: String,
}

/// Makes the page.
pub(super) fn life(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let Some(id) = request.query.one(PageParameter::Id) else {
        return Err(PageError::invalid("id: name an image or a task, as in `?id=debian-12`"));
    };
    let archive = request.archive()?;
    let mut timeline = Timeline::new(id);
    let mut records = LifeRecords::default();
    archive.read_life(&[id.to_owned()], request.site.deadline, |record| {
        records.add(record, &mut timeline);
    })?;
    records.add_newest(&mut timeline);
    let answer = timeline.finish();
    if answer.entries.is_empty() {
        let message = format!("The archive has no event of {}.", PageText::new(id));
        return Err(PageError::not_found(message));
    }
    let overview = ArchiveOverview::read(&archive)?;
    let sentences = overview.sentences(request, &archive, &overview.whole(), true)?;
    let frame = |title: &PageText| request.frame(title.as_str()).coverage(&sentences);
    if answer.ids.len() > 1 {
        let link = |id: &std::sync::Arc<str>| (PageText::new(id), request.life_url(id, false));
        let images = answer.ids.iter().map(link).collect();
        let name = PageText::new(id);
        let template = NamesakesTemplate { frame: frame(&name), name, images };
        return PageContent::page(StatusCode::OK, &template);
    }
    let template = LifeTemplate::new(request, &answer, &records, frame);
    PageContent::page(StatusCode::OK, &template)
}

impl LifeTemplate {
    fn new(
        request: &PageRequest<'_>,
        answer: &TimelineAnswer,
        records: &LifeRecords,
        frame: impl Fn(&PageText) -> PageFrame,
    ) -> Self {
        let entries = &answer.entries;
        let calendar = &request.selection.calendar;
        let asked = request.query.one(PageParameter::Id).unwrap_or_default();
        let id = answer.ids.first().map_or(asked, AsRef::as_ref);
        let name = last(entries, |record| record.name.as_deref());
        let title = PageText::new(name.unwrap_or(id));
        let is_download = |entry: &&TimelineEntry| entry.record.event_type == EventType::ImageSend;
        let downloads = entries.iter().filter(is_download).rev().take(MOST_LINES);
        let count = entries.len() + records.left_out();
        let (listed, others) = entries.split_at(entries.len().min(MOST_LINES));
        // The newest downloads are on the page too.
        let shown_below = others.iter().filter(is_download).take(MOST_LINES).count();
        let unshown = count - listed.len() - shown_below;
        let search = request.query.without(&[PageParameter::Id, PageParameter::OlderThan]);
        Self {
            frame: frame(&title),
            kind: if request.path == TASK_PATH { "Task" } else { "Image" },
            title,
            id: PageText::up_to(id, 600),
            status: entries.iter().fold(LifeStatus::default(), LifeStatus::after),
            facts: facts(request, entries, records),
            anomalies: answer.anomalies.iter().map(|text| PageText::up_to(text, 600)).collect(),
            drawings: WIDTHS.map(|w| LifeDiagram::new(entries, count, calendar, w)).into(),
            caption: caption(entries, count),
            events: listed
                .iter()
                .map(|entry| ImageEventRow::new(request, entry, records))
                .collect(),
            left_out: (unshown > 0).then(|| {
                let verb = if unshown == 1 { "is" } else { "are" };
                format!("{} {verb} not on this page", counted(unshown, "more event"))
            }),
            downloads: downloads.map(|entry| DownloadLine::new(request, entry, records)).collect(),
            download_summary: format!(
                "{} of {} in all",
                counted(records.download_count(), "download"),
                short_bytes(records.bytes)
            ),
            search_url: search.url(SEARCH_PATH),
            events_url: request.life_search_url(id),
        }
    }
}

impl ImageEventRow {
    fn new(request: &PageRequest<'_>, entry: &TimelineEntry, records: &LifeRecords) -> Self {
        let record = &entry.record;
        Self {
            time: request.time(record.timestamp),
            since_last: entry.since_last.map(shown_duration),
            event_type: PageText::new(record.event_type.as_str()),
            priority: PriorityBadge::new(record.priority),
            mark: match record.priority {
                _ if entry.is_possibly_related => "related",
                Priority::Error | Priority::Critical => "bad",
                _ => LifeStatus::default().after(entry).phase.class(),
            },
            actor: ActorText::new(request, entry, records),
            sender: PageText::new(&record.publisher_id),
            trace: record.context.traceparent().map(PageText::new),
            note: entry.note.as_deref().map(|note| PageText::up_to(note, 600)),
            changes: entry.changes.iter().take(MOST_CHANGES).map(ChangeLine::new).collect(),
            is_possibly_related: entry.is_possibly_related,
            event_url: request.event_url(record, EVENT_PATH),
            json_url: request.event_url(record, JSON_PATH),
        }
    }
}

impl ActorText {
    fn new(request: &PageRequest<'_>, entry: &TimelineEntry, records: &LifeRecords) -> Self {
        let finding = &entry.actor;
        let Some(actor) = finding.actor() else {
            let is_evidence_left_out = *finding == ActorFinding::NO_EVIDENCE
                && records.lacks_evidence(&entry.record.event_type);
            let reason = match finding {
                _ if is_evidence_left_out => EVIDENCE_LEFT_OUT,
                ActorFinding::Unknown(reason) => *reason,
                ActorFinding::Known(_) => "",
            };
            let (name, detail) = (PageText::new("unknown"), PageText::new(reason));
            return Self { name, detail, is_known: false };
        };
        let project = actor
            .project_id
            .as_deref()
            .map(|id| format!("project {}", request.site.names.shown(id)));
        let address = actor.address.as_deref().map(|address| format!("from {address}"));
        let parts = [project, address, Some(actor.evidence.to_string())];
        let detail: Vec<_> = parts.into_iter().flatten().collect();
        Self {
            name: PageText::new(&finding.to_string()),
            detail: PageText::up_to(&detail.join(", "), 600),
            is_known: true,
        }
    }
}

impl ChangeLine {
    fn new(change: &PayloadChange) -> Self {
        let shown = |value: &Option<Value>| match value {
            None => PageText::new("absent"),
            Some(Value::String(text)) => PageText::new(text),
            Some(value) => PageText::new(&value.to_string()),
        };
        Self {
            key: PageText::new(&change.key),
            before: shown(&change.before),
            after: shown(&change.after),
        }
    }
}

impl DownloadLine {
    fn new(request: &PageRequest<'_>, entry: &TimelineEntry, records: &LifeRecords) -> Self {
        let record = &entry.record;
        let bytes = record.bytes_sent.map(u128::from);
        let unknown = || "unknown".to_owned();
        Self {
            time: request.time(record.timestamp),
            bytes: bytes.map_or_else(unknown, short_bytes),
            exact_bytes: bytes.map_or_else(unknown, grouped),
            project: request.project(record.receiver.as_deref()),
            user: PageText::new(record.receiver_user.as_deref().unwrap_or_default()),
            address: PageText::new(&address_of(record).unwrap_or_default()),
            is_complete: !matches!(record.priority, Priority::Error | Priority::Critical),
            actor: ActorText::new(request, entry, records),
            json_url: request.event_url(record, JSON_PATH),
        }
    }
}

/// Returns the address to which a download went. Glance knows it for cached downloads only.
fn address_of(record: &EventRecord) -> Option<String> {
    record.payload()?["destination_ip"].as_str().map(str::to_owned)
}

/// Returns the facts at the head of the page.
fn facts(
    request: &PageRequest<'_>,
    entries: &[TimelineEntry],
    records: &LifeRecords,
) -> Vec<LifeFact> {
    let plain = |name, value: Option<String>| {
        value.map(|value| LifeFact { name, value: PageText::new(&value), url: None })
    };
    let owner = last(entries, |record| record.owner.as_deref());
    let size = entries.iter().rev().find_map(|entry| entry.record.size);
    let mut regions: Vec<_> =
        entries.iter().filter_map(|entry| entry.record.arrival.region.as_deref()).collect();
    regions.sort_unstable();
    regions.dedup();
    // The timeline has no record that is left out, and the records do not tell which failures are related.
    let times = || {
        let shown = entries.iter().map(|entry| entry.record.timestamp);
        shown.chain(records.first).chain(records.last)
    };
    let shown =
        |time: Option<OffsetDateTime>| time.map(|time| request.selection.calendar.shown(time));
    let deleted = entries.iter().find(|entry| {
        entry.record.event_type == EventType::ImageDelete && entry.record.priority == Priority::Info
    });
    let deletion = deleted.map(|entry| {
        let actor = ActorText::new(request, entry, records);
        format!("{} ({})", actor.name, actor.detail)
    });
    let facts = [
        owner.map(|owner| LifeFact {
            name: "Owner (project)",
            value: request.project(Some(owner)),
            url: request.search_url(PageParameter::Project, owner),
        }),
        plain("Size", size.map(|size| format!("{} ({} bytes)", short_bytes(size.into()), size))),
        plain("Region", (!regions.is_empty()).then(|| regions.join(", "))),
        plain("First event", shown(times().min())),
        plain("Last event", shown(times().max())),
        plain("Deleted by", deletion),
    ];
    facts.into_iter().flatten().collect()
}

/// Returns the last value of a fact.
fn last<'a>(
    entries: &'a [TimelineEntry],
    fact: impl Fn(&'a EventRecord) -> Option<&'a str>,
) -> Option<&'a str> {
    entries.iter().rev().find_map(|entry| fact(&entry.record))
}

fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// The reason why an actor is not known, if the page does not have all audit events.
const EVIDENCE_LEFT_OUT: &str = "some audit events are not on this page: ask `glance-notify who`";
/// The most differences of one event.
const MOST_CHANGES: usize = 50;
