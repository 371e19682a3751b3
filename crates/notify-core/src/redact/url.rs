//! URLs in any text, without their credentials and signatures.

use std::borrow::Cow;

use super::rules::{CredentialShape, MASK, SecretRules};

/// `text` without what the rules know of URLs.
///
/// Each byte is looked at a bounded number of times: what is looked ahead for is either masked, or ends
/// where the next URL begins.
pub(super) fn mask(text: &str, rules: &SecretRules<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end = end_of(url, rules, |url| has_credentials(url, rules));
        let spaced =
            if rules.knows(CredentialShape::UnescapedSpace) { spaced(url, end, rules) } else { 0 };
        let end = end + spaced;
        let (from, end) = match url[..end].rfind('@') {
            Some(at) if spaced > 0 || has_credentials(&url[..end], rules) => {
                out.push_str(MASK);
                // What was behind the password may hold another URL.
                (at, at + 1 + end_of(&url[at + 1..end], rules, |_| true))
            }
            _ => (0, end),
        };
        mask_parameters(&url[from..end], rules, &mut out);
        rest = &url[end..];
    }
    out.push_str(rest);
    out
}

/// Where a URL ends that is cut off its scheme, and perhaps of credentials.
fn end_of(url: &str, rules: &SecretRules<'_>, has_credentials: impl Fn(&str) -> bool) -> usize {
    // Behind the authority another URL may be nested: it is masked when its turn comes. Looked for
    // first, so that no text is looked through as often as it has URLs. Before that, and in the value
    // of a secret parameter, `://` is part of the secret.
    let (mut from, mut host) = (0, 0);
    while let Some(length) = url[from..].find("://") {
        let up_to = &url[..from + length];
        if let Some(end) = up_to[from..].find(ends_url) {
            return from + end;
        }
        let nested = from + scheme_start(&up_to[from..]);
        if let Some(at) = url[from..nested].rfind('@')
            && has_credentials(&url[..nested])
        {
            host = from + at + 1;
        }
        if !url[host..nested].contains(AUTHORITY_ENDS) {
            break;
        }
        if !is_in_secret_value(url, nested, rules) {
            return nested;
        }
        let rest = &url[nested..];
        from = nested
            + rest.find(|c| PARAMETER_MARKS.contains(&c) || ends_url(c)).unwrap_or(rest.len());
    }
    url[from..].find(ends_url).map_or(url.len(), |end| from + end)
}

/// Whether `at` is behind the beginning of a secret parameter's value.
fn is_in_secret_value(url: &str, at: usize, rules: &SecretRules<'_>) -> bool {
    let Some(mark) = url[..at].rfind(PARAMETER_MARKS) else { return false };
    url[mark + 1..at]
        .split_once('=')
        .is_some_and(|(name, value)| !value.is_empty() && is_secret_name(name, rules))
}

/// How much further a URL goes whose password has a space or a quote: `user:pass word@host`.
///
/// In `at http://host:80, ask bob@example.org` what follows the colon is a port.
fn spaced(url: &str, end: usize, rules: &SecretRules<'_>) -> usize {
    let (whole, behind) = url.split_at(end);
    let mark = |c: char| c.is_ascii_punctuation() && c != ']';
    let port = port(authority(whole)).trim_end_matches(mark);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
    if is_port || whole.contains('@') {
        return 0;
    }
    let line = &behind[..behind.find("://").unwrap_or(behind.len())];
    match line.find(['@', '\n', '\r']) {
        Some(at) if line[at..].starts_with('@') => {
            at + 1 + end_of(&behind[at + 1..], rules, |_| true)
        }
        _ => 0,
    }
}

/// Whether there are credentials in a URL that is cut off its scheme. They go up to the last `@`: too
/// much is masked rather than too little.
fn has_credentials(url: &str, rules: &SecretRules<'_>) -> bool {
    // `user:pa/ss@host` is no URL, but people write it: what follows the colon is no port.
    let authority = authority(url);
    let port = port(authority);
    let torn = !port.bytes().all(|b| b.is_ascii_digit()) && !port.ends_with(']')
        || authority.ends_with(':') && url[authority.len()..].starts_with("//");
    rules.knows(CredentialShape::UserInfo) && authority.contains('@')
        || rules.knows(CredentialShape::UnescapedSlash) && torn
}

/// Masks the secret parameters of a URL.
fn mask_parameters(url: &str, rules: &SecretRules<'_>, out: &mut String) {
    let mut start = 0;
    while let Some(mark) = url[start..].find(PARAMETER_MARKS) {
        let parameter = start + mark + 1;
        out.push_str(&url[start..parameter]);
        start = parameter;
        // Only the end of what is masked is looked for: what is left alone is gone over once.
        let Some(length) = url[start..].find(['?', '&', '#', ';', '=']) else { break };
        let (name, value) = url[start..].split_at(length);
        if let Some(value) = value.strip_prefix('=')
            && (is_secret_name(name, rules) || holds_credentials(value, rules))
        {
            let length = value.find(['&', '#', ';']).unwrap_or(value.len());
            out.push_str(name);
            out.push('=');
            if length > 0 {
                out.push_str(MASK);
            }
            start = url.len() - value.len() + length;
        }
    }
    out.push_str(&url[start..]);
}

fn is_secret_name(name: &str, rules: &SecretRules<'_>) -> bool {
    let decoded =
        if rules.knows(CredentialShape::EncodedName) { percent_decoded(name) } else { name.into() };
    rules.parameter(&decoded)
}

/// Whether a parameter is a percent-encoded URL with credentials.
fn holds_credentials(value: &str, rules: &SecretRules<'_>) -> bool {
    let value = &value[..value.find(PARAMETER_MARKS).unwrap_or(value.len())];
    let decoded = percent_decoded(value);
    rules.knows(CredentialShape::EncodedUrl)
        && value.contains('%')
        && decoded.contains("://")
        && decoded.contains('@')
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let hex = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// The user, host and port of a URL.
fn authority(url: &str) -> &str {
    &url[..url.find(AUTHORITY_ENDS).unwrap_or(url.len())]
}

/// What stands where a port would.
fn port(authority: &str) -> &str {
    authority.rsplit_once(':').map_or("", |(_, port)| port)
}

/// Where the scheme that ends `text` begins.
fn scheme_start(text: &str) -> usize {
    text.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
}

/// What ends the user, host and port of a URL.
const AUTHORITY_ENDS: [char; 4] = ['/', '?', '#', '\\'];

/// What parameters follow: `?` or `&`; with some services `#` or `;`.
const PARAMETER_MARKS: [char; 4] = ['?', '&', '#', ';'];
