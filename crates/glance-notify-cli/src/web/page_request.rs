//! A request for a page, and its content: [`PageRequest`], [`PageContent`].

use askama::Template;
use axum::http::StatusCode;
use glance_notify::time::OffsetDateTime;
use notify_archive::Archive;
use notify_archive::question::Calendar;
use notify_archive::record::EventRecord;

use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_query::{PageParameter, PageQuery};
use super::page_selection::PageSelection;
use super::page_text::PageText;
use super::site::Site;

/// A request for a page, with everything that the page is a function of.
pub(super) struct PageRequest<'a> {
    pub(super) site: &'a Site,
    pub(super) path: &'static str,
    /// The parameters as the viewer wrote them, for the fields of a form that shows messages about them.
    pub(super) asked: PageQuery,
    /// The parameters with a meaning, for everything else.
    pub(super) query: PageQuery,
    pub(super) selection: PageSelection,
}

/// The content of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageContent {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

/// A time in the viewer's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageTime {
    /// The time with its offset, for programs and where the hour alone is ambiguous.
    pub(super) exact: String,
    pub(super) day: String,
    /// The time of day to the second.
    pub(super) clock: String,
}

impl PageRequest<'_> {
    /// Opens the archive for reading.
    pub(super) fn archive(&self) -> Result<Archive, PageError> {
        Ok(Archive::open(&self.site.archive)?)
    }

    /// Returns the frame of the page.
    pub(super) fn frame(&self, title: &str) -> PageFrame {
        PageFrame::new(self.site, &self.query, self.path, PageText::new(title))
    }

    /// Returns a time in the viewer's zone.
    pub(super) fn time(&self, time: OffsetDateTime) -> PageTime {
        PageTime::new(time, &self.selection.calendar)
    }

    /// Returns the name of a project, or its id.
    pub(super) fn project(&self, id: Option<&str>) -> PageText {
        id.map(|id| PageText::new(self.site.names.shown(id))).unwrap_or_default()
    }

    /// Returns the link to the life of an image or task, if its id fits into a URL.
    pub(super) fn life_url(&self, id: &str, is_task: bool) -> Option<String> {
        let path = if is_task { TASK_PATH } else { IMAGE_PATH };
        let query = self.query.without(&[PageParameter::Before]).with(PageParameter::Id, id);
        (id.len() <= LONGEST_LINKED_ID).then(|| query.url(path))
    }

    /// Returns the link to one notification.
    pub(super) fn event_url(&self, record: &EventRecord, path: &str) -> String {
        self.query.with(PageParameter::Id, &record.message_id.to_string()).url(path)
    }

    /// Returns the link to a search with the parameters of this page and one more filter, if its value fits into a
    /// URL.
    pub(super) fn search_url(&self, parameter: PageParameter, value: &str) -> Option<String> {
        search_url(&self.query, parameter, value)
    }

    /// Returns the link to a search for all events of an image or task, without the filters that would hide some, if
    /// its id fits into a URL.
    pub(super) fn life_search_url(&self, id: &str) -> Option<String> {
        search_url(&self.query.without(&NOT_IN_LIFE), PageParameter::Image, id)
    }
}

/// Returns the link to a search with the filters of a query and one more, if its value fits into a URL.
fn search_url(query: &PageQuery, parameter: PageParameter, value: &str) -> Option<String> {
    let left_out = [PageParameter::Before, PageParameter::Id, PageParameter::OlderThan];
    let query = query.without(&left_out).with(parameter, value);
    (value.len() <= LONGEST_LINKED_ID).then(|| query.url(SEARCH_PATH))
}

impl PageContent {
    /// Renders a page.
    pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Self, PageError> {
        let html = template.render().map_err(|error| {
            PageError::new(StatusCode::INTERNAL_SERVER_ERROR, "This is a bug", error.to_string())
        })?;
        Ok(Self { status, content_type: HTML, body: html.into_bytes() })
    }

    /// Creates a content of JSON.
    pub(super) fn json(body: Vec<u8>) -> Self {
        Self { status: StatusCode::OK, content_type: JSON, body }
    }
}

impl PageTime {
    /// Shows a time in a zone.
    pub(super) fn new(time: OffsetDateTime, calendar: &Calendar) -> Self {
        let exact = calendar.shown(time);
        let (day, clock) = exact.split_once('T').unwrap_or((&exact, ""));
        let clock = clock.get(..8).unwrap_or(clock);
        Self { day: day.to_owned(), clock: clock.to_owned(), exact }
    }
}

/// The path of the search.
pub(super) const SEARCH_PATH: &str = "/search";
/// The path of an image's life.
pub(super) const IMAGE_PATH: &str = "/image";
/// The path of a task's life.
pub(super) const TASK_PATH: &str = "/task";
/// The path of a notification.
pub(super) const EVENT_PATH: &str = "/event";
/// The path of a notification as JSON.
pub(super) const JSON_PATH: &str = "/event.json";

/// The parameters that would hide events of an image or task from a search.
const NOT_IN_LIFE: [PageParameter; 6] = [
    PageParameter::Event,
    PageParameter::Priority,
    PageParameter::Project,
    PageParameter::Since,
    PageParameter::Until,
    PageParameter::Undated,
];
/// The longest id that a link holds. Glance's have 36 characters.
const LONGEST_LINKED_ID: usize = 512;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
