//! The filters of a search on the other pages, and values without a meaning.

use crate::bounds::page;
use crate::site::{DAY, RunningSite};

/// The page of a search says what is wrong with a value, also where no field shows it, and no link and no form
/// keeps the value.
#[test]
fn a_value_without_a_meaning_is_named_and_not_kept() {
    let site = RunningSite::start(DAY);
    for (query, message) in [
        ("n=500", "n=500: expected a number from 1 to 200."),
        ("priority=foo", "priority=foo: expected `info`"),
        ("before=x", "before=x: expected the place of a page"),
        ("undated=yes", "undated=yes: expected `1`, or no value."),
        ("older_than=x", "older_than=x: expected a number from 0 to"),
    ] {
        let search = page(&site, &format!("/search?{query}"));
        assert!(search.starts_with("HTTP/1.1 400"), "{query}: {search}");
        assert!(search.contains(message), "{query}: {search}");
        assert!(!search.contains("see the message beside the field"), "{query}: {search}");
        let (_, value) = query.split_once('=').unwrap();
        assert!(!search.contains(&format!("value=\"{value}\"")), "{query}: {search}");
        for shown in [search, page(&site, &format!("/transfers?{query}"))] {
            assert!(shown.contains("href=\"/storage\""), "{query}: {shown}");
        }
    }
    let search = page(&site, "/search?priority=foo&priority=ERROR");
    assert!(search.contains("href=\"/storage?priority=ERROR\""), "{search}");
    let search = page(&site, "/search?since=yesterday");
    assert!(search.contains("see the message beside the field"), "{search}");
    assert_eq!(search.matches("value=\"yesterday\"").count(), 1, "{search}");
    assert!(search.contains("href=\"/storage\""), "{search}");
}

/// A page that does not apply the filters of a search says so, and its form keeps them.
#[test]
fn pages_keep_the_filters_that_they_do_not_apply() {
    let site = RunningSite::start(DAY);
    let filters = "event=image.send&priority=INFO&image=a&project=web&tz=Asia/Tokyo&n=20";
    for path in ["/stuck", "/transfers", "/storage", "/health"] {
        let shown = page(&site, &format!("{path}?{filters}"));
        let sentence = "not limited to event image.send, priority INFO, image a, project web.";
        assert!(shown.contains(sentence), "{path}: {shown}");
        let (_, form) = shown.split_once("aria-label=\"Interval\"").unwrap();
        let (form, _) = form.split_once("</form>").unwrap();
        for (name, value) in filters.split('&').filter_map(|filter| filter.split_once('=')) {
            let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            assert_eq!(form.matches(&field).count(), 1, "{path}: {form}");
        }
        assert!(!page(&site, path).contains("not limited to"), "{path}");
    }
}
