//! The form of a page about an interval: [`IntervalForm`].

use super::page_query::PageParameter;
use super::page_request::PageRequest;
use super::page_text::PageText;

/// The fields of a form for an interval. It keeps the filters of the search, which the page does not apply.
pub(super) struct IntervalForm {
    pub(super) since: String,
    pub(super) until: String,
    /// The other parameters.
    pub(super) hidden: Vec<(&'static str, String)>,
    /// A sentence about the filters that the page does not apply.
    pub(super) unused: Option<PageText>,
}

impl IntervalForm {
    /// Creates the form. `own` are the parameters for which the page has further fields.
    pub(super) fn new(request: &PageRequest<'_>, own: &[PageParameter]) -> Self {
        let query = &request.query;
        let field = |parameter| query.one(parameter).unwrap_or_default().to_owned();
        let others = query.without(&NOT_KEPT).without(own);
        let filters: Vec<_> = FILTERS
            .into_iter()
            .flat_map(|parameter| {
                query.all(parameter).map(move |value| format!("{} {value}", parameter.name()))
            })
            .collect();
        let unused = || format!("This page is not limited to {}.", filters.join(", "));
        Self {
            since: field(PageParameter::Since),
            until: field(PageParameter::Until),
            hidden: others.fields().map(|(name, value)| (name, value.to_owned())).collect(),
            unused: (!filters.is_empty()).then(|| PageText::up_to(&unused(), 600)),
        }
    }
}

/// The parameters that the form has fields for, and those that lead to another page.
const NOT_KEPT: [PageParameter; 4] =
    [PageParameter::Since, PageParameter::Until, PageParameter::Before, PageParameter::Id];

/// The filters of the search that pages about an interval do not apply.
const FILTERS: [PageParameter; 4] =
    [PageParameter::Event, PageParameter::Priority, PageParameter::Image, PageParameter::Project];
