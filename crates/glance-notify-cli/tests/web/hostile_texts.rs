//! Texts of strangers in a real browser: they show as text and do nothing.

use crate::bounds::page;
use crate::browser::Browser;
use crate::site::{RunningSite, image_line};
use serde_json::json;

/// Names that break out of a tag, an attribute, a URL, a line or a table, if anything lets them.
fn names() -> Vec<String> {
    [
        "<script>document.title='owned'</script>",
        "\"><img src=x onerror=\"document.title='owned'\">",
        "' onmouseover='document.title=1' x='",
        "</title></textarea></style><svg onload=document.title='owned'>",
        "javascript:document.title='owned'",
        "&lt;b&gt; {{ 7 * 7 }} ${7*7}",
        "a\u{202e}gnp.exe\u{2066}\u{200f}",
        "tab\there\u{1b}[31m\u{0}\u{7f}\u{85}",
        "../../etc/passwd?x=1&y=2#z",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["x".repeat(10_000), "漢".repeat(10_000)])
    .collect()
}

/// Returns an archive in which every text of an image is hostile.
fn hostile_site() -> RunningSite {
    let mut lines = Vec::new();
    for (number, name) in (0..).zip(names()) {
        let payload = json!({"name": name, "owner": name, "status": name, "properties": {name.clone(): name}});
        lines.push(image_line(2 * number, "image.create", payload));
        let payload = json!({"id": name, "name": name, "owner": name, "size": 7,
            "properties": {name.clone(): "other"}});
        lines.push(image_line(2 * number + 1, "image.update", payload));
    }
    RunningSite::start(&lines.join("\n"))
}

/// Nothing that a stranger wrote runs, reorders the text around it, or breaks the layout at any width.
#[test]
fn hostile_names_show_as_text_and_do_nothing() {
    let site = hostile_site();
    let browser = Browser::start();
    let mut pages =
        vec![site.url("/search"), site.url("/stuck"), site.url("/storage"), site.url("/health")];
    browser.look(400, "light");
    browser.driver.goto(&site.url("/search"));
    pages.extend(browser.attributes("table a", "href").iter().map(|link| site.url(link)));
    pages.sort();
    pages.dedup();
    assert!(pages.len() > 40, "{} pages", pages.len());
    for page in &pages {
        browser.driver.goto(page);
        let title = browser.driver.text_of_page("title");
        assert!(title.ends_with(" · glance-notify"), "{title}: {page:.300}");
        assert_eq!(browser.value(FOREIGN_ELEMENTS), 0, "{page:.300}");
        assert!(browser.value(HIDDEN_CHARACTERS).is_null(), "{page:.300}");
        for width in [400, 1600] {
            browser.look(width, "light");
            let inner = browser.value("document.documentElement.scrollWidth");
            assert!(
                inner.as_u64() <= Some(width.into()),
                "{inner} instead of {width} pixels: {page}"
            );
        }
    }
    browser.driver.goto(&site.url("/search"));
    let text = browser.text("table");
    for shown in [
        "<script>document.title='owned'</script>",
        r"a\u{202e}gnp.exe",
        "{{ 7 * 7 }} ${7*7}",
        "xxxx…",
        "漢…",
    ] {
        assert!(text.contains(shown), "{shown}");
    }
}

/// Half a surrogate pair, as Python writes a byte that is not UTF-8, hides no address of a download.
#[test]
fn half_a_surrogate_pair_hides_no_address() {
    let id = "00000000-0000-4000-8000-0000000f0000";
    let created = image_line(1, "image.create", json!({ "id": id }));
    let payload = json!({"id": id, "image_id": id, "destination_ip": "192.0.2.7", "agent": "HALF"});
    let sent = image_line(2, "image.send", payload).replace("HALF", r"\udce9");
    let site = RunningSite::start(&format!("{created}\n{sent}"));
    let shown = page(&site, &format!("/image?id={id}"));
    assert!(shown.contains("<bdi>192.0.2.7</bdi>"), "{shown}");
}

/// The elements and attributes that no page has.
const FOREIGN_ELEMENTS: &str = "document.scripts.length + document.querySelectorAll(\
    'img, iframe, style, [style], [onerror], [onload], [onmouseover], [href^=javascript]').length";

/// The characters that hide, move or reorder others, in the text that the viewer sees.
const HIDDEN_CHARACTERS: &str = r"document.body.innerText.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/)";

/// A filter with a hostile value comes back into its field as it was, and searches for it.
#[test]
fn a_hostile_filter_survives_its_form() {
    let site = hostile_site();
    let browser = Browser::start();
    for name in names().iter().filter(|name| name.len() < 200 && !name.contains('\u{0}')) {
        browser.driver.goto(&site.url("/search"));
        let field = browser.driver.find("css selector", "#image");
        // The driver's keyboard types no control characters.
        let script = "arguments[0].value = arguments[1]";
        browser.driver.execute(script, &[field.reference, json!(name)]);
        browser.click(".filters button");
        let value = browser.value("document.querySelector('#image').value");
        assert_eq!(value.as_str(), Some(name.trim()));
        let found = browser.text("main h2");
        assert_eq!(found, "2 events, the newest first", "{name}");
    }
}
