//! One event as a line of a table: [`EventLine`].

use glance_notify::event::Priority;
use notify_archive::record::EventRecord;

use super::page_query::PageParameter;
use super::page_request::{EVENT_PATH, PageRequest, PageTime};
use super::page_text::PageText;

/// An event as a line of a table, with links.
#[derive(Clone, Debug)]
pub(super) struct EventLine {
    pub(super) time: PageTime,
    pub(super) event_type: PageText,
    pub(super) event_url: String,
    pub(super) priority: PriorityBadge,
    pub(super) subject: PageText,
    /// The id, if the subject shows the name.
    pub(super) id: PageText,
    pub(super) subject_url: Option<String>,
    pub(super) status: PageText,
    pub(super) project: PageText,
    pub(super) project_url: Option<String>,
    pub(super) sender: PageText,
}

/// A priority with the class of its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PriorityBadge {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
}

impl EventLine {
    /// Shows an event.
    pub(super) fn new(record: &EventRecord, request: &PageRequest<'_>) -> Self {
        let id = record.subject.as_deref().unwrap_or_default();
        let name = record.name.as_deref().unwrap_or_default();
        let owner = record.owner.as_deref();
        let subject_url = || request.life_url(id, record.is_task());
        Self {
            time: request.time(record.timestamp),
            event_type: PageText::new(record.event_type.as_str()),
            event_url: request.event_url(record, EVENT_PATH),
            priority: PriorityBadge::new(record.priority),
            subject: PageText::new(if name.is_empty() { id } else { name }),
            id: PageText::new(if name.is_empty() { "" } else { id }),
            subject_url: if id.is_empty() { None } else { subject_url() },
            status: PageText::new(record.status.as_deref().unwrap_or_default()),
            project: request.project(owner),
            project_url: owner.and_then(|id| request.search_url(PageParameter::Project, id)),
            sender: PageText::new(&record.publisher_id),
        }
    }
}

impl PriorityBadge {
    /// Shows a priority.
    pub(super) fn new(priority: Priority) -> Self {
        let class = match priority {
            Priority::Error | Priority::Critical => "badge bad",
            Priority::Warn => "badge warn",
            _ => "badge",
        };
        Self { name: priority.as_str(), class }
    }
}
