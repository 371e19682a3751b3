//! The meaning of a page's parameters: [`PageSelection`].

use std::fmt;

use glance_notify::event::Priority;
use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::question::{Calendar, EventFilter, EventGlob, ProjectNames};
use notify_archive::store::SearchPosition;

use super::page_query::{PageParameter, PageQuery};
use super::site::Site;

/// The parameters of a page, checked.
#[derive(Clone, Debug)]
pub(super) struct PageSelection {
    pub(super) calendar: Calendar,
    pub(super) filter: EventFilter,
    pub(super) limit: usize,
    pub(super) before: Option<SearchPosition>,
    pub(super) undated: bool,
    pub(super) older_than: Duration,
    /// The values that have no meaning, each with the accepted forms. A page with problems shows no numbers.
    pub(super) problems: Vec<ParameterProblem>,
}

/// A value of a parameter without a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParameterProblem {
    pub(super) parameter: PageParameter,
    pub(super) value: String,
    pub(super) message: String,
}

impl PageSelection {
    /// Reads the parameters.
    pub(super) fn new(query: &PageQuery, site: &Site) -> Self {
        let mut problems = ProblemList::default();
        let zone = query.one(PageParameter::Zone).unwrap_or(&site.default_zone);
        let calendar = problems.checked(PageParameter::Zone, zone, Calendar::new(zone));
        let calendar = calendar.unwrap_or_else(Calendar::utc);
        let limit = problems.number(query, PageParameter::Limit, 1..=MOST_EVENTS);
        let older_than = problems.number(query, PageParameter::OlderThan, 0..=LONGEST_AGE);
        let before = query.one(PageParameter::Before);
        let before = before.and_then(|text| {
            problems.checked(PageParameter::Before, text, text.parse::<SearchPosition>())
        });
        let undated = query.one(PageParameter::Undated);
        if let Some(value) = undated.filter(|value| *value != "1") {
            problems.add(PageParameter::Undated, value, "expected `1`, or no value".to_owned());
        }
        Self {
            filter: filter(query, &calendar, &site.names, &mut problems),
            limit: limit.map_or(EVENTS, |limit| usize::try_from(limit).unwrap_or(EVENTS)),
            before,
            undated: undated.is_some(),
            older_than: Duration::minutes(older_than.unwrap_or(OLD)),
            calendar,
            problems: problems.0,
        }
    }

    /// Returns the message about a parameter, if its value has no meaning.
    pub(super) fn problem(&self, parameter: PageParameter) -> Option<&str> {
        let problem = self.problems.iter().find(|problem| problem.parameter == parameter);
        problem.map(|problem| problem.message.as_str())
    }

    /// Returns the query without the values that have no meaning, for links: they would lead to the same problems.
    pub(super) fn valid(&self, query: &PageQuery) -> PageQuery {
        let mut valid = query.clone();
        for problem in &self.problems {
            valid.remove(problem.parameter, &problem.value);
        }
        valid
    }
}

impl fmt::Display for ParameterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: {}", self.parameter.name(), self.value, self.message)
    }
}

/// Returns the filter, with the names of projects replaced by their ids.
fn filter(
    query: &PageQuery,
    calendar: &Calendar,
    names: &ProjectNames,
    problems: &mut ProblemList,
) -> EventFilter {
    let owned = |parameter| query.all(parameter).map(str::to_owned).collect();
    let pattern = |text: &str| text.parse::<EventGlob>().map_err(|error| error.to_string());
    let priority = |text: &str| {
        text.parse::<Priority>().map_err(|_| {
            "expected `info`, `warn`, `error`, `critical`, `audit`, `debug` or `sample`".to_owned()
        })
    };
    let mut filter = EventFilter {
        events: problems.all(query, PageParameter::Event, pattern),
        priorities: problems.all(query, PageParameter::Priority, priority),
        images: owned(PageParameter::Image),
        projects: query.all(PageParameter::Project).map(|name| names.id(name).to_owned()).collect(),
        since: problems.start(query, PageParameter::Since, calendar),
        until: problems.start(query, PageParameter::Until, calendar),
    };
    if filter.interval().is_some_and(|interval| interval.end <= interval.start) {
        let end = query.one(PageParameter::Until).unwrap_or_default();
        problems.add(PageParameter::Until, end, "the end is not after the begin".to_owned());
        filter.until = None;
    }
    filter
}

/// The problems that reading the parameters finds.
#[derive(Default)]
struct ProblemList(Vec<ParameterProblem>);

impl ProblemList {
    fn add(&mut self, parameter: PageParameter, value: &str, message: String) {
        self.0.push(ParameterProblem { parameter, value: value.to_owned(), message });
    }

    /// Returns the meaning of a value, or keeps the message.
    fn checked<T>(
        &mut self,
        parameter: PageParameter,
        value: &str,
        meaning: Result<T, String>,
    ) -> Option<T> {
        meaning.map_err(|message| self.add(parameter, value, message)).ok()
    }

    /// Returns all values of a parameter.
    fn all<T>(
        &mut self,
        query: &PageQuery,
        parameter: PageParameter,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let values = query.all(parameter);
        values.filter_map(|value| self.checked(parameter, value, parse(value))).collect()
    }

    /// Returns the begin of the time that a parameter names.
    fn start(
        &mut self,
        query: &PageQuery,
        parameter: PageParameter,
        calendar: &Calendar,
    ) -> Option<OffsetDateTime> {
        let value = query.one(parameter)?;
        let interval = calendar.interval(value);
        self.checked(parameter, value, interval).map(|interval| interval.start)
    }

    /// Returns a number within its range.
    fn number(
        &mut self,
        query: &PageQuery,
        parameter: PageParameter,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = query.one(parameter)?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        let (start, end) = range.into_inner();
        let expected = || format!("expected a number from {start} to {end}");
        self.checked(parameter, value, number.ok_or_else(expected))
    }
}

/// The events on a page, if the viewer does not say.
const EVENTS: usize = 50;
/// The most events on a page.
const MOST_EVENTS: i64 = 200;
/// The age in minutes from which an outcome is missing, if the viewer does not say.
const OLD: i64 = 60;
/// The largest age in minutes: a year.
const LONGEST_AGE: i64 = 366 * 24 * 60;
