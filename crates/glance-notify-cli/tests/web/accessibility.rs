//! Accessibility and layout: every page at both widths and in both schemes, checked by axe-core in a real browser.
//!
//! With the environment variable `GLANCE_NOTIFY_SCREENSHOTS` set, the test writes the pictures of the documents.

use std::fs;
use std::path::Path;

use crate::browser::Browser;
use crate::site::{DAY, RunningSite};

/// axe-core finds nothing in any page, and no page is wider than its window.
#[test]
fn every_page_is_accessible_at_both_widths_and_in_both_schemes() {
    let site = RunningSite::start(DAY);
    let browser = Browser::start();
    let writes = std::env::var_os("GLANCE_NOTIFY_SCREENSHOTS").is_some();
    for (width, scheme) in [(400, "light"), (400, "dark"), (1600, "light"), (1600, "dark")] {
        browser.look(width, scheme);
        for (name, path) in PAGES {
            browser.driver.goto(&site.url(path));
            if width == 400 && name == "image" {
                // A telephone has room for the timeline or for what stands above it.
                browser.driver.goto(&site.url(&format!("{path}#timeline")));
            }
            let place = format!("{path}, {width} pixels, {scheme}");
            let inner = browser.value("[window.innerWidth, document.documentElement.scrollWidth]");
            assert_eq!(inner[0], width, "{place}");
            assert!(inner[1].as_u64() <= inner[0].as_u64(), "too wide: {inner} {place}");
            let dark = browser.value("matchMedia('(prefers-color-scheme: dark)').matches");
            assert_eq!(dark, scheme == "dark");
            let picture = browser.picture();
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{place}");
            if writes && !name.is_empty() {
                let file = format!("../../docs/images/{name}-{width}-{scheme}.png");
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, picture).unwrap();
            }
            // The checker changes the page, so it comes last.
            let violations = browser.violations();
            assert!(violations.is_empty(), "{place}: {violations:#?}");
        }
    }
}

/// The pages, each with the name of its pictures if the documents show it.
const PAGES: [(&str, &str); 12] = [
    ("search", "/search"),
    ("image", "/image?id=debian-12"),
    ("", "/stuck"),
    ("", "/search?event=image.*&event=task.*&priority=ERROR&since=2026-11&until=2026-12"),
    ("", "/search?since=yesterday&event=%20a%C3%A9"),
    ("", "/search?image=nothing"),
    ("", "/task?id=516a0d4d-2adc-424b-8f40-b525c2fa86de"),
    ("", "/event?id=13678d7a-3f0c-4931-918c-40bfd670c342"),
    ("", "/transfers"),
    ("", "/storage?tz=Asia/Tokyo"),
    ("", "/health"),
    ("", "/nothing"),
];
