//! The parts that all pages share: [`PageFrame`], with the navigation, the time zone and the coverage.

use super::page_query::{PageParameter, PageQuery};
use super::page_text::PageText;
use super::site::Site;
use super::static_files::STYLE_PATH;

/// The frame around the content of a page.
#[derive(Clone, Debug)]
pub(super) struct PageFrame {
    pub(super) title: PageText,
    pub(super) path: &'static str,
    pub(super) style: &'static str,
    pub(super) archive: PageText,
    pub(super) links: Vec<NavigationLink>,
    pub(super) zone: String,
    /// The other parameters, which the form of the time zone keeps.
    pub(super) zone_fields: Vec<(&'static str, String)>,
    pub(super) zone_problem: Option<PageText>,
    /// Sentences that say what the numbers of the page cover.
    pub(super) coverage: Vec<PageText>,
}

/// A link of the navigation.
#[derive(Clone, Debug)]
pub(super) struct NavigationLink {
    pub(super) label: &'static str,
    pub(super) url: String,
    pub(super) is_current: bool,
}

/// A page of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PagePlace {
    pub(super) path: &'static str,
    /// The name in the navigation.
    label: &'static str,
}

impl PageFrame {
    /// Creates the frame of a page.
    pub(super) fn new(site: &Site, query: &PageQuery, path: &'static str, title: PageText) -> Self {
        // A link leads to the first page and to no single image.
        let shared = query.without(&[PageParameter::Before, PageParameter::Id]);
        let link = |place: &PagePlace| NavigationLink {
            label: place.label,
            url: shared.url(place.path),
            is_current: place.path == path,
        };
        let others = query.without(&[PageParameter::Zone]);
        let zone = query.one(PageParameter::Zone).unwrap_or(&site.default_zone);
        Self {
            title,
            path,
            style: &STYLE_PATH,
            archive: site.label.clone(),
            links: PLACES.iter().map(link).collect(),
            zone: zone.to_owned(),
            zone_fields: others.fields().map(|(name, value)| (name, value.to_owned())).collect(),
            zone_problem: None,
            coverage: Vec::new(),
        }
    }

    /// Sets the sentences about the coverage.
    #[must_use]
    pub(super) fn coverage(mut self, sentences: &[String]) -> Self {
        self.coverage = sentences.iter().map(|sentence| PageText::up_to(sentence, 2000)).collect();
        self
    }
}

/// The pages of the navigation, in their order.
pub(super) const PLACES: [PagePlace; 5] = [
    PagePlace { path: "/search", label: "Search" },
    PagePlace { path: "/stuck", label: "Stuck and failed" },
    PagePlace { path: "/transfers", label: "Transfers" },
    PagePlace { path: "/storage", label: "Storage" },
    PagePlace { path: "/health", label: "Health" },
];
