//! Redaction of text: it removes every credential, and its output stays the same when it runs
//! again.

use glance_notify::config::Redact;

use crate::checks::{SECRET, assert_no_secret, clean_text, split_in_half};

/// Checks the input as a text of a payload, and as a key.
pub fn redaction(bytes: &[u8]) {
    let Some(text) = clean_text(bytes) else { return };
    assert_eq!(Redact::Off.text(text), text);
    let masked = Redact::Secrets.text(text);
    assert_eq!(Redact::Strict.text(text), masked);
    // In a text that resembles nested URLs, a second run may mask more.
    let again = Redact::Secrets.text(&masked);
    assert!(again == masked || again.len() < masked.len(), "a second run changed the text: {text}");
    assert!(masked.len() <= 2 * text.len(), "{} bytes became {}", text.len(), masked.len());
    let (before, after) = split_in_half(text);
    for planted in [
        format!("{before}https://user:{SECRET}@host{after}"),
        format!("{before} https://{SECRET}@host/{after}"),
        format!("{before} https://host/?X-Amz-Signature={SECRET}&{after}"),
    ] {
        assert_no_secret(&Redact::Secrets.text(&planted));
    }
    check_key(text);
}

/// Checks that redaction ignores the case and the separators of a key.
fn check_key(key: &str) {
    let hides = Redact::Secrets.hides(key);
    let bare: String = key.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).collect();
    assert_eq!(Redact::Secrets.hides(&key.to_ascii_uppercase()), hides, "{key}");
    assert_eq!(Redact::Secrets.hides(&bare), hides, "{key}");
    assert!(Redact::Strict.hides(&format!("{key}password")) && !Redact::Off.hides(key), "{key}");
}
