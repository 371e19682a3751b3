//! The checks that all targets share: text for a reader is printable, short and free of the secret.

use std::fmt::{Debug, Display};

use glance_notify::Config;
use glance_notify::transport::printable;

/// The secret that a target plants in its input. No output may contain it.
pub(crate) const SECRET: &str = "hUnTeR2s3cr3t";

/// Returns the text of an input. Returns `None` if the input is not UTF-8, or if it contains the
/// secret already: then a target could not tell the planted secret from the other one.
pub(crate) fn clean_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains(SECRET))
}

/// Returns `text` with the secret in the middle.
pub(crate) fn insert_secret(text: &str) -> String {
    let (before, after) = split_in_half(text);
    format!("{before}{SECRET}{after}")
}

/// Splits `text` near its middle, between two characters.
pub(crate) fn split_in_half(text: &str) -> (&str, &str) {
    let half = (0..=text.len() / 2).rev().find(|&at| text.is_char_boundary(at));
    text.split_at(half.unwrap_or(0))
}

/// Checks every form of an error: `{}`, `{:#}` and `{:?}`.
///
/// # Panics
///
/// Panics if a form contains the secret or a control character, or is too long.
#[track_caller]
pub(crate) fn check_error(error: &(impl Display + Debug)) {
    for form in [error.to_string(), format!("{error:#}"), format!("{error:?}")] {
        assert_printable(&form);
        assert_no_secret(&form);
        assert!(form.len() <= MAX_ERROR_BYTES, "an error of {} bytes: {form}", form.len());
    }
}

/// Opens the configured transport, and checks the error, the warnings and every debug form.
///
/// # Panics
///
/// Panics if a text contains the secret or a control character.
#[track_caller]
pub(crate) fn check_opening(config: &Config) {
    let notifier =
        glance_notify::builder(config).and_then(glance_notify::pipeline::NotifierBuilder::build);
    match (notifier, glance_notify::transport::open(config)) {
        (Ok(_), Ok(transport)) => assert_no_secret(&format!("{transport:?}")),
        (Err(error), _) | (_, Err(error)) => check_error(&error),
    }
    assert_no_secret(&format!("{config:?}"));
    for warning in config.warnings() {
        assert_printable(warning);
        assert_no_secret(warning);
    }
}

/// Panics if `text` contains a character that can control a terminal.
#[track_caller]
pub(crate) fn assert_printable(text: &str) {
    assert_eq!(printable(text, usize::MAX).to_string(), text, "not printable: {text:?}");
}

/// Panics if `text` contains the secret.
#[track_caller]
pub(crate) fn assert_no_secret(text: &str) {
    assert!(!text.contains(SECRET), "the secret leaked: {text}");
}

/// The most bytes of an error. The longest error lists every known key.
const MAX_ERROR_BYTES: usize = 8 * 1024;
