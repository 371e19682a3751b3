//! The page `/search`: events by type, priority, image, project and time, the newest first.

use askama::Template;
use axum::http::StatusCode;
use glance_notify::event::{EventType, Priority};
use notify_archive::store::SearchRequest;

use super::archive_overview::ArchiveOverview;
use super::event_line::EventLine;
use super::page_error::PageError;
use super::page_frame::PageFrame;
use super::page_query::PageParameter;
use super::page_request::{PageContent, PageRequest, SEARCH_PATH};
use super::page_text::PageText;

/// The page.
#[derive(Template)]
#[template(path = "search.html")]
struct SearchTemplate {
    frame: PageFrame,
    fields: SearchFields,
    filters: Vec<ActiveFilter>,
    lines: Vec<EventLine>,
    /// Whether there was anything to search: parameters without a meaning show no lines.
    is_answer: bool,
    /// Problems of parameters that have no field with a message of its own.
    problems: Vec<PageText>,
    /// Whether a field has a message.
    has_field_problem: bool,
    is_partial: bool,
    older: Option<String>,
    newest: Option<String>,
}

/// The values of the form's fields, as the viewer wrote them.
struct SearchFields {
    event: SearchField,
    image: SearchField,
    project: SearchField,
    since: SearchField,
    until: SearchField,
    priorities: Vec<PriorityChoice>,
    undated: bool,
    /// The event types that the field suggests.
    known_types: Vec<&'static str>,
    /// Parameters that the form keeps.
    hidden: Vec<(&'static str, String)>,
    /// Whether the rarer filters are visible.
    shows_more: bool,
}

/// A field of the form, with the message about its value.
struct SearchField {
    value: String,
    problem: Option<PageText>,
}

/// A priority that the viewer can choose.
struct PriorityChoice {
    name: &'static str,
    is_chosen: bool,
}

/// A filter in force, with the link that removes it.
struct ActiveFilter {
    name: &'static str,
    value: PageText,
    without: String,
}

/// Makes the page.
pub(super) fn search(request: &PageRequest<'_>) -> Result<PageContent, PageError> {
    let selection = &request.selection;
    let (beside, others): (Vec<_>, Vec<_>) =
        selection.problems.iter().partition(|problem| FIELDS.contains(&problem.parameter));
    let mut template = SearchTemplate {
        frame: request.frame("Search"),
        fields: SearchFields::new(request),
        filters: active_filters(request),
        lines: Vec::new(),
        is_answer: selection.problems.is_empty(),
        problems: others.iter().map(|problem| PageText::new(&problem.to_string())).collect(),
        has_field_problem: !beside.is_empty(),
        is_partial: false,
        older: None,
        newest: selection
            .before
            .map(|_| request.query.without(&[PageParameter::Before]).url(SEARCH_PATH)),
    };
    if !template.is_answer {
        template.frame.zone_problem = selection.problem(PageParameter::Zone).map(PageText::new);
        if let Some(zone) = request.asked.one(PageParameter::Zone) {
            zone.clone_into(&mut template.frame.zone);
        }
        return PageContent::page(StatusCode::BAD_REQUEST, &template);
    }
    let archive = request.archive()?;
    let search = SearchRequest {
        limit: selection.limit,
        before: selection.before,
        undated: selection.undated,
        deadline: request.site.deadline,
    };
    let page = archive.search(&selection.filter, &search)?;
    template.lines = page.records.iter().map(|record| EventLine::new(record, request)).collect();
    template.is_partial = page.is_partial;
    template.older = page
        .next
        .map(|next| request.query.with(PageParameter::Before, &next.to_string()).url(SEARCH_PATH));
    let overview = ArchiveOverview::read(&archive)?;
    let interval = overview.interval(&selection.filter);
    let sentences = overview.sentences(request, &archive, &interval, selection.undated)?;
    template.frame = template.frame.coverage(&sentences);
    PageContent::page(StatusCode::OK, &template)
}

impl SearchFields {
    fn new(request: &PageRequest<'_>) -> Self {
        let (asked, query) = (&request.asked, &request.query);
        let field = |parameter| SearchField {
            value: asked.one(parameter).unwrap_or_default().to_owned(),
            problem: request.selection.problem(parameter).map(PageText::new),
        };
        let chosen = &request.selection.filter.priorities;
        let rare = chosen.iter().filter(|priority| !PRIORITIES.contains(priority));
        let choice = |priority: &Priority| PriorityChoice {
            name: priority.as_str(),
            is_chosen: chosen.contains(priority),
        };
        // A field has one value; the form keeps the others.
        let kept = [PageParameter::Zone, PageParameter::Limit].map(|p| (p, 0));
        let more_values = [PageParameter::Image, PageParameter::Project].map(|p| (p, 1));
        let hidden = kept.into_iter().chain(more_values).flat_map(|(parameter, first)| {
            query.all(parameter).skip(first).map(move |value| (parameter.name(), value.to_owned()))
        });
        let more = [
            PageParameter::Project,
            PageParameter::Priority,
            PageParameter::Since,
            PageParameter::Until,
            PageParameter::Undated,
        ];
        Self {
            event: SearchField {
                value: asked.all(PageParameter::Event).collect::<Vec<_>>().join(" "),
                ..field(PageParameter::Event)
            },
            image: field(PageParameter::Image),
            project: field(PageParameter::Project),
            since: field(PageParameter::Since),
            until: field(PageParameter::Until),
            priorities: PRIORITIES.iter().chain(rare).map(choice).collect(),
            undated: query.one(PageParameter::Undated).is_some(),
            known_types: EventType::DOCUMENTED.iter().map(EventType::as_str).collect(),
            hidden: hidden.collect(),
            shows_more: more.into_iter().any(|parameter| asked.one(parameter).is_some()),
        }
    }
}

/// Returns the filters in force. Each of several values is removed by itself.
fn active_filters(request: &PageRequest<'_>) -> Vec<ActiveFilter> {
    let query = request.query.without(&[PageParameter::Before, PageParameter::Id]);
    let mut filters = Vec::new();
    for (parameter, name) in FILTERS {
        let values: Vec<_> = query.all(parameter).collect();
        for (index, value) in values.iter().enumerate() {
            let mut without = query.without(&[parameter]);
            for (other, kept) in values.iter().enumerate() {
                if other != index {
                    without = without.and(parameter, kept);
                }
            }
            let value = if parameter == PageParameter::Undated { "only" } else { value };
            let (value, without) = (PageText::new(value), without.url(SEARCH_PATH));
            filters.push(ActiveFilter { name, value, without });
        }
    }
    filters
}

/// The priorities that a viewer chooses from. The URL accepts oslo's others too.
const PRIORITIES: [Priority; 4] =
    [Priority::Info, Priority::Warn, Priority::Error, Priority::Critical];

/// The parameters whose fields show a message about their value.
const FIELDS: [PageParameter; 4] =
    [PageParameter::Event, PageParameter::Since, PageParameter::Until, PageParameter::Zone];

/// The parameters that are filters, with their names for people.
const FILTERS: [(PageParameter, &str); 7] = [
    (PageParameter::Event, "event"),
    (PageParameter::Priority, "priority"),
    (PageParameter::Image, "image"),
    (PageParameter::Project, "project"),
    (PageParameter::Since, "since"),
    (PageParameter::Until, "until"),
    (PageParameter::Undated, "implausible times"),
];
