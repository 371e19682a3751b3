//! What may be shown to somebody: harmless, short, and without the secret.

use std::fmt::{Debug, Display};

use glance_notify::Config;
use glance_notify::transport::printable;

/// What is planted where secrets stand, and is looked for in everything that comes out.
pub(crate) const SECRET: &str = "hUnTeR2s3cr3t";

/// The text of an input; `None` for one that holds the secret already, which would say nothing.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains(SECRET))
}

/// `text` with the secret in the middle.
pub(crate) fn planted_in_the_middle(text: &str) -> String {
    let (before, after) = in_two(text);
    format!("{before}{SECRET}{after}")
}

/// The two halves of a text.
pub(crate) fn in_two(text: &str) -> (&str, &str) {
    let half = (0..=text.len() / 2).rev().find(|&at| text.is_char_boundary(at));
    text.split_at(half.unwrap_or(0))
}

/// Panics where an error shows what it must not, in any of its forms.
#[track_caller]
pub(crate) fn check_error(error: &(impl Display + Debug)) {
    for shown in [error.to_string(), format!("{error:#}"), format!("{error:?}")] {
        check_harmless(&shown);
        check_secretless(&shown);
        assert!(shown.len() <= MOST_BYTES, "{} bytes of error: {shown}", shown.len());
    }
}

/// Panics where opening what is configured, or what is said of it, shows what it must not.
#[track_caller]
pub(crate) fn check_opened(config: &Config) {
    let opened =
        glance_notify::builder(config).and_then(glance_notify::pipeline::NotifierBuilder::build);
    match (opened, glance_notify::transport::open(config)) {
        (Ok(_), Ok(transport)) => check_secretless(&format!("{transport:?}")),
        (Err(error), _) | (_, Err(error)) => check_error(&error),
    }
    check_secretless(&format!("{config:?}"));
    for warning in config.warnings() {
        check_harmless(warning);
        check_secretless(warning);
    }
}

/// Panics where a text could do something to a terminal.
#[track_caller]
pub(crate) fn check_harmless(text: &str) {
    assert_eq!(printable(text, usize::MAX).to_string(), text, "not harmless: {text:?}");
}

/// Panics where a text holds the secret.
#[track_caller]
pub(crate) fn check_secretless(text: &str) {
    assert!(!text.contains(SECRET), "the secret is shown: {text}");
}

/// The most that an error shows. The longest lists every key that there is.
const MOST_BYTES: usize = 8 * 1024;
