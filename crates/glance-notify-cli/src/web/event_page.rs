//! The pages `/event` and `/event.json`: one notification, as a page and as it is stored.

use askama::Template;
use axum::http::StatusCode;
use glance_notify::uuid::Uuid;
use notify_archive::record::EventRecord;

use super::archive_overview::ArchiveOverview;
use super::event_line::EventLine;
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_query::PageParameter;
use super::page_request::{JSON_PATH, PageContent, PageRequest, PageTime, SEARCH_PATH};
use super::page_text::PageText;
use crate::json_output::indented_json;

/// The page.
#[derive(Template)]
#[template(path = "event.html")]
struct EventTemplate {
    frame: PageFrame,
    id: PageText,
    notifications: Vec<EventDetail>,
    left_out: u64,
    json_url: String,
    search_url: String,
}

/// A notification with everything that the archive knows of it.
struct EventDetail {
    line: EventLine,
    facts: Vec<(&'static str, PageText)>,
    /// The lines of the indented body.
    json: Vec<PageText>,
}

/// Makes the page.
pub(super) fn event(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    PageError::check(&request.selection)?;
    let archive = request.archive()?;
    let (id, records, left_out) = notifications(request, &archive)?;
    let overview = ArchiveOverview::read(&archive)?;
    let interval = overview.whole();
    let sentences = overview.sentences(request, &archive, &interval, true)?;
    let template = EventTemplate {
        frame: request.frame("Notification").coverage(&sentences),
        id: PageText::new(&id.to_string()),
        notifications: records.iter().map(|record| EventDetail::new(request, record)).collect(),
        left_out,
        json_url: request.query.url(JSON_PATH),
        search_url: request.query.without(&[PageParameter::Id]).url(SEARCH_PATH),
    };
    PageContent::page(StatusCode::OK, &template)
}

/// Returns the notifications of the id as they are stored, with the number of those beyond the limit.
pub(super) fn json(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    let (_, records, left_out) = notifications(request, &request.archive()?)?;
    let bodies: Vec<&[u8]> = records.iter().map(|record| record.body.as_ref()).collect();
    let head = format!("{{\"left_out\": {left_out}, \"notifications\": [");
    Ok(PageContent::json([head.as_bytes(), &bodies.join(&b",\n"[..]), b"]}"].concat()))
}

/// Returns the id that the request names, its notifications, and the number of those beyond the limit.
fn notifications(
    request: &PageRequest<'_>,
    archive: &notify_archive::Archive,
) -> Result<(Uuid, Vec<EventRecord>, u64), PageError> {
    let id = request.query.one(PageParameter::Id).and_then(|id| id.parse::<Uuid>().ok());
    let Some(id) = id else {
        return Err(PageError::invalid("id: expected the `message_id` of a notification"));
    };
    let (records, left_out) =
        archive.notifications(id, MOST_NOTIFICATIONS, request.site.deadline)?;
    if records.is_empty() {
        return Err(PageError::not_found(format!("The archive has no notification {id}.")));
    }
    Ok((id, records, left_out))
}

impl EventDetail {
    fn new(request: &PageRequest<'_>, record: &EventRecord) -> Self {
        let arrival = &record.arrival;
        let received = arrival.received_at.map(|time| request.time(time));
        let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(PageText::new);
        let sequence = record.sequence.as_ref().map(|sequence| {
            let lane = PageText::new(sequence.lane());
            format!("{} in lane {lane} of epoch {}", sequence.number(), sequence.epoch())
        });
        let facts = [
            ("Received", received.map(|PageTime { exact, .. }| PageText::new(&exact))),
            ("Source", text(&arrival.source)),
            ("Region", text(&arrival.region)),
            ("Request", record.context.request_id().map(PageText::new)),
            ("User, named by the sender", record.context.user().map(PageText::new)),
            ("Project, named by the sender", record.context.project().map(PageText::new)),
            ("Trace", record.context.traceparent().map(PageText::new)),
            ("State of the trace", record.context.tracestate().map(PageText::new)),
            ("Number", sequence.map(|text| PageText::new(&text))),
        ];
        let body = String::from_utf8_lossy(&record.body);
        Self {
            line: EventLine::new(record, request),
            facts: facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            json: indented_json(&body)
                .lines()
                .map(|line| PageText::up_to(line, usize::MAX))
                .collect(),
        }
    }
}

/// The most notifications of one id that are read: a sender can use its id again and again.
const MOST_NOTIFICATIONS: usize = 20;
