//! The way of an operator through the pages, in a real browser.

use crate::browser::Browser;
use crate::site::{DAY, RunningSite};

/// An operator searches, filters, follows an event to its image, sees the timeline, changes the time zone, opens
/// the raw JSON, and comes back to the search with its filters.
#[test]
fn an_operator_follows_a_search_to_an_image_and_back() {
    let site = RunningSite::start(DAY);
    let browser = Browser::start();
    browser.driver.goto(&site.url("/"));
    assert_eq!(browser.text("h1"), "Search");
    assert!(browser.text("main h2").starts_with("50 events, the newest first; there are older"));

    // Search, and narrow the answer.
    browser.write("#event", "image.delete image.send");
    browser.click(".filters button");
    let events = browser.texts("table td:nth-child(2) a");
    assert_eq!(events.len(), 10);
    assert!(events.iter().all(|event| ["image.delete", "image.send"].contains(&event.as_str())));
    browser.driver.find("css selector", "summary").click();
    browser.write("#since", "yesterday");
    browser.click(".filters button");
    assert_eq!(browser.text("#since-problem").split(' ').next(), Some("expected"));
    browser.write("#since", "2026-11-24T15:00");
    browser.click(".filters button");
    assert_eq!(browser.texts("table td:nth-child(2) a").len(), 3);
    let chips = ["event: image.delete", "event: image.send", "since: 2026-11-24T15:00"];
    assert_eq!(browser.texts(".chips li > span"), chips);
    browser.click("[aria-label='Remove the filter event image.send']");
    assert_eq!(browser.texts("table td:nth-child(2) a").len(), 2);
    let search = browser.address();
    assert!(search.contains("event=image.delete&since=2026-11-24T15%3A00"), "{search}");

    // Follow the event to its image.
    browser.follow("debian-12");
    assert_eq!(browser.text("h1"), "debian-12 deleted");
    assert!(browser.text(".facts").contains("alice"));
    assert!(browser.text(".anomalies").contains("1 incomplete download"));
    let drawing = browser.driver.find("css selector", "svg.wide");
    assert!(drawing.is_displayed());
    let words = drawing.attribute("aria-label");
    assert_eq!(words, "Timeline of 14 events in 9 h 38 min; the last known status is deleted");
    assert!(browser.text("ol.life > li:nth-child(4)").contains("19.3 s later"));
    assert!(browser.text("ol.life > li:nth-child(4)").contains("saving → active"));

    // Change the time zone.
    assert!(browser.text("ol.life > li").contains("2026-11-24 08:02:11"));
    browser.write("#zone", "Asia/Tokyo");
    browser.click(".zone button");
    assert_eq!(browser.text("h1"), "debian-12 deleted");
    assert!(browser.text("ol.life > li").contains("2026-11-24 17:02:11"));
    assert!(browser.text("svg.wide").contains("17:02:11"));

    // Open the stored body, and come back.
    browser.click("ol.life > li:last-child .raw");
    let body: serde_json::Value = serde_json::from_str(&browser.text("body")).unwrap();
    assert_eq!(body["notifications"][0]["event_type"], "image.delete");
    browser.driver.back();
    browser.follow("← Back to the search");
    assert_eq!(browser.text("h1"), "Search");
    let chips = ["event: image.delete", "since: 2026-11-24T15:00"];
    assert_eq!(browser.texts(".chips li > span"), chips);
    assert_eq!(browser.texts("table td:nth-child(2) a").len(), 3);
    let back = browser.address();
    assert_eq!(back, format!("{search}&tz=Asia%2FTokyo"), "the filters are kept");
}

/// The pages of a search lead to each other, and every event is on exactly one of them.
#[test]
fn every_event_is_on_one_page_of_a_search() {
    let site = RunningSite::start(DAY);
    let browser = Browser::start();
    browser.driver.goto(&site.url("/search?n=40"));
    let mut links = Vec::new();
    loop {
        links.extend(browser.attributes("table td:nth-child(2) a", "href"));
        if browser.value("document.querySelector('a[rel=next]') === null") == true {
            break;
        }
        browser.click("a[rel=next]");
    }
    let all = links.len();
    links.sort();
    links.dedup();
    assert_eq!((all, links.len()), (101, 101));
    browser.follow("← Newest");
    assert_eq!(browser.address(), site.url("/search?n=40"));
}

/// Reports and their charts show what the questions of the command find.
#[test]
fn reports_show_missing_outcomes_usage_and_coverage() {
    let site = RunningSite::start(DAY);
    let browser = Browser::start();
    browser.driver.goto(&site.url("/search"));
    browser.follow("Stuck and failed");
    let stuck = browser.texts("section:first-of-type tbody tr");
    assert_eq!(stuck.len(), 3);
    assert!(stuck[1].contains("training-set-4") && stuck[1].contains("glance-api.log on glance2"));
    let failed = browser.text("section:last-of-type");
    assert!(failed.contains("openstack image task show 516a0d4d-2adc-424b-8f40-b525c2fa86de"));
    browser.follow("Transfers");
    assert!(browser.text(".figure").starts_with("3.2 GiB from 2026-11-24T01:00:01Z"));
    assert!(browser.text("svg.wide").contains("1.6 GiB"));
    browser.follow("Storage");
    assert!(browser.text("main").contains("GiB-hours"));
    browser.follow("Health");
    let source = browser.text(".source");
    assert!(source.contains("north") && source.contains("94.99 %"), "{source}");
    assert!(browser.text("section[aria-labelledby=gaps]").contains("binding lost"));
    for place in ["Stuck and failed", "Transfers", "Storage", "Health", "Search"] {
        browser.follow(place);
        let covered = browser.text("footer");
        assert!(covered.contains("coverage of north: 94.99 %"), "{place}: {covered}");
        assert!(covered.contains("binding lost"), "{place}: {covered}");
    }
}

/// The first key leads past the navigation, as users without a mouse expect.
#[test]
fn the_keyboard_reaches_the_content_first() {
    let site = RunningSite::start(DAY);
    let browser = Browser::start();
    browser.driver.goto(&site.url("/search"));
    browser.driver.press('\u{e004}');
    assert_eq!(browser.value("document.activeElement.textContent"), "Skip to the content");
    browser.driver.press('\u{e007}');
    assert_eq!(browser.value("document.activeElement.id"), "content");
    browser.driver.press('\u{e004}');
    assert_eq!(browser.value("document.activeElement.id"), "image");
}
