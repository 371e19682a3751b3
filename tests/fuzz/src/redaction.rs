//! Masking text: the credentials in any text are gone, and what is masked stays masked.

use glance_notify::config::Redact;

use crate::shown::{SECRET, check_secretless, in_two, text};

/// Text from a payload, and a key of one.
pub fn redaction(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    assert_eq!(Redact::Off.text(text), text);
    let masked = Redact::Secrets.text(text);
    assert_eq!(Redact::Strict.text(text), masked);
    // Where it only looks as if URLs were inside each other, the second time more may be masked.
    let again = Redact::Secrets.text(&masked);
    assert!(again == masked || again.len() < masked.len(), "masked again: {text}");
    assert!(masked.len() <= 2 * text.len(), "{} bytes became {}", text.len(), masked.len());
    let (before, after) = in_two(text);
    for planted in [
        format!("{before}https://user:{SECRET}@host{after}"),
        format!("{before} https://{SECRET}@host/{after}"),
        format!("{before} https://host/?X-Amz-Signature={SECRET}&{after}"),
    ] {
        check_secretless(&Redact::Secrets.text(&planted));
    }
    check_key(text);
}

/// A key is judged by its letters and digits alone.
fn check_key(key: &str) {
    let hides = Redact::Secrets.hides(key);
    let bare: String = key.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ')).collect();
    assert_eq!(Redact::Secrets.hides(&key.to_ascii_uppercase()), hides, "{key}");
    assert_eq!(Redact::Secrets.hides(&bare), hides, "{key}");
    assert!(Redact::Strict.hides(&format!("{key}password")) && !Redact::Off.hides(key), "{key}");
}
