//! Masking of credentials and signatures of URLs in free text.
//!
//! Error texts of stores and libraries contain URLs that are not valid, so this module does not parse
//! URLs. It searches for `://`, also as JSON may write it, and masks too much rather than too little.
//! Every search takes linear time in total, because the texts come from outside.

use std::borrow::Cow;

use super::rules::{CredentialShape, MASK, SecretRules};

/// Returns `text` with the credentials and secret parameters of its URLs masked.
///
/// A text that begins with a slash begins with a URL without its scheme and authority, such as the target of a
/// request.
///
/// Takes linear time: each look-ahead either ends in masked text or stops at the next URL.
pub(super) fn mask(text: &str, rules: &SecretRules<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    if text.starts_with('/') {
        let (target, behind) = text.split_at(end_of(text, rules, |_| false));
        mask_parameters(target, rules, &mut out);
        rest = behind;
    }
    while let Some((at, length)) = find_url_mark(rest) {
        let (before, url) = rest.split_at(at + length);
        out.push_str(before);
        let end = end_of(url, rules, |url| has_credentials(url, rules));
        let after_space = if rules.knows(CredentialShape::UnescapedSpace) {
            length_after_space(url, end, rules)
        } else {
            0
        };
        let end = end + after_space;
        let (from, end) = match url[..end].rfind('@') {
            Some(at) if after_space > 0 || has_credentials(&url[..end], rules) => {
                out.push_str(MASK);
                // The text behind the password may hold another URL.
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

/// Returns the place and the length of the first `://`, also with slashes that JSON escaped.
pub(super) fn find_url_mark(text: &str) -> Option<(usize, usize)> {
    text.match_indices(':').find_map(|(at, _)| Some((at, url_mark_length(&text[at..])?)))
}

/// Returns the length of the `://` at the start of `text`: JSON in a text may write it `:\/\/`.
fn url_mark_length(text: &str) -> Option<usize> {
    let rest = after_slash(after_slash(text.strip_prefix(':')?)?)?;
    Some(text.len() - rest.len())
}

/// Returns the text after a slash, which JSON, and JSON inside JSON, may escape.
fn after_slash(text: &str) -> Option<&str> {
    ["/", r"\/", r"\\\/"].into_iter().find_map(|slash| text.strip_prefix(slash))
}

/// Returns the length of a URL whose scheme, and perhaps whose credentials, are cut off.
fn end_of(url: &str, rules: &SecretRules<'_>, has_credentials: impl Fn(&str) -> bool) -> usize {
    // A URL may be nested behind the authority. End there, so that `mask` handles it next, and search
    // for it first, so that no text is searched once per URL. In front of the authority's end, and in
    // the value of a secret parameter, `://` is part of the secret.
    // Each round searches only the text behind the round before. Behind the first one, the authority is known,
    // and so are its credentials: only an `@` of theirs begins another host.
    let (mut from, mut host, mut credentials) = (0, Some(0), None);
    while let Some((length, _)) = find_url_mark(&url[from..]) {
        let up_to = &url[..from + length];
        if let Some(end) = up_to[from..].find(ends_url) {
            return from + end;
        }
        let nested = from + scheme_start(&up_to[from..]);
        if let Some(at) = url[from..nested].rfind('@')
            && *credentials.get_or_insert_with(|| has_credentials(&url[..nested]))
        {
            host = Some(from + at + 1);
        }
        if host.take().is_some_and(|host| !url[host..nested].contains(AUTHORITY_ENDS)) {
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

/// Returns `true` if `at` lies in the value of a secret parameter.
fn is_in_secret_value(url: &str, at: usize, rules: &SecretRules<'_>) -> bool {
    let Some(mark) = url[..at].rfind(PARAMETER_MARKS) else { return false };
    url[mark + 1..at]
        .split_once('=')
        .is_some_and(|(name, value)| !value.is_empty() && is_secret_name(name, rules))
}

/// Returns the length of the rest of a URL whose password has a space or quote:
/// `user:pass word@host`.
///
/// Returns 0 for `at http://host:80, ask bob@example.org`, where a port follows the colon.
fn length_after_space(url: &str, end: usize, rules: &SecretRules<'_>) -> usize {
    let (start, rest) = url.split_at(end);
    let mark = |c: char| c.is_ascii_punctuation() && c != ']';
    let port = port(authority(start)).trim_end_matches(mark);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
    if is_port || start.contains('@') {
        return 0;
    }
    let line = &rest[..find_url_mark(rest).map_or(rest.len(), |(at, _)| at)];
    match line.find(['@', '\n', '\r']) {
        Some(at) if line[at..].starts_with('@') => {
            at + 1 + end_of(&rest[at + 1..], rules, |_| true)
        }
        _ => 0,
    }
}

/// Returns `true` if a URL without its scheme has credentials. They end at its last `@`.
fn has_credentials(url: &str, rules: &SecretRules<'_>) -> bool {
    // `user:pa/ss@host` is not a valid URL, but people write it. No port follows the colon.
    let authority = authority(url);
    let port = port(authority);
    let has_unescaped_slash = !port.bytes().all(|b| b.is_ascii_digit()) && !port.ends_with(']')
        || authority.ends_with(':') && url_mark_length(&url[authority.len() - 1..]).is_some();
    rules.knows(CredentialShape::UserInfo) && authority.contains('@')
        || rules.knows(CredentialShape::UnescapedSlash) && has_unescaped_slash
}

/// Appends a URL to `out`, with its secret parameters masked.
fn mask_parameters(url: &str, rules: &SecretRules<'_>, out: &mut String) {
    let mut start = 0;
    while let Some(mark) = url[start..].find(PARAMETER_MARKS) {
        let parameter = start + mark + 1;
        out.push_str(&url[start..parameter]);
        start = parameter;
        // Search for the end of a value only in order to mask it, so that the rest is searched once.
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

/// Returns `true` if `name` is the name of a secret parameter, percent-encoded or not.
fn is_secret_name(name: &str, rules: &SecretRules<'_>) -> bool {
    let decoded =
        if rules.knows(CredentialShape::EncodedName) { percent_decoded(name) } else { name.into() };
    rules.parameter(&decoded)
}

/// Returns `true` if the value of a parameter is a percent-encoded URL with credentials.
fn holds_credentials(value: &str, rules: &SecretRules<'_>) -> bool {
    let value = &value[..value.find(PARAMETER_MARKS).unwrap_or(value.len())];
    let decoded = percent_decoded(value);
    rules.knows(CredentialShape::EncodedUrl)
        && value.contains('%')
        && find_url_mark(&decoded).is_some()
        && decoded.contains('@')
}

/// Decodes `%77` and the like, and leaves incomplete sequences alone.
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

/// Returns `true` if no URL contains this character.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// Returns user, password, host and port of a URL without its scheme.
fn authority(url: &str) -> &str {
    &url[..url.find(AUTHORITY_ENDS).unwrap_or(url.len())]
}

/// Returns the text behind the last colon of an authority: its port, if it is valid.
fn port(authority: &str) -> &str {
    authority.rsplit_once(':').map_or("", |(_, port)| port)
}

/// Returns the start of the scheme at the end of `text`.
fn scheme_start(text: &str) -> usize {
    text.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
}

/// The characters that end the authority of a URL.
const AUTHORITY_ENDS: [char; 4] = ['/', '?', '#', '\\'];

/// The characters in front of a parameter: `?` or `&`, and for some services `#` or `;`.
const PARAMETER_MARKS: [char; 4] = ['?', '&', '#', ';'];
