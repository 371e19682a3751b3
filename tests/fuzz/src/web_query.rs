//! The parameters of a web page's URL: a link that the pages make means the same again.

use glance_notify_cli::web::{PageParameter, PageQuery};

use crate::checks::clean_text;

/// Checks the input as the part of a URL behind the question mark, and as a value of every parameter.
pub fn web_query(bytes: &[u8]) {
    let Some(text) = clean_text(bytes) else { return };
    if let Ok(query) = PageQuery::parse(text) {
        check_link(&query);
    }
    for parameter in PageParameter::ALL {
        let query = PageQuery::default().with(parameter, text.trim());
        let again = query.url("/p");
        let again = PageQuery::parse(again.strip_prefix("/p?").unwrap_or_default());
        // An event pattern has no spaces, and an empty value is none.
        if parameter != PageParameter::Event && !text.trim().is_empty() {
            assert_eq!(again.as_ref(), Ok(&query), "{parameter:?}");
        }
    }
}

/// Checks that the link with these parameters has them again, and that it is safe in an attribute.
fn check_link(query: &PageQuery) {
    let url = query.url("/search");
    let is_safe =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\');
    assert!(url.bytes().all(is_safe), "{url}");
    let again = url.strip_prefix("/search").unwrap_or_default().trim_start_matches('?');
    assert_eq!(PageQuery::parse(again).as_ref(), Ok(query), "{url}");
}
