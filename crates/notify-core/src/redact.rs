//! What never leaves: credentials, on their way out of a payload and into a notification.
//!
//! Redaction happens while a notification is encoded, so before anything is queued, spooled, logged
//! or sent. Glance has leaked backend credentials in `location` (commit 7bdc4eb94) and in error
//! texts (CVE-2013-0212); OpenStack has leaked tokens to its message queue (CVE-2014-4615).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How much is masked in what leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redact {
    /// Values under keys that look secret become `***`; so do credentials and signatures inside
    /// URLs, in any text. The keys `location`, `locations`, `direct_url`, `authorization`, `cookie`
    /// and their like are left out with their values.
    #[default]
    Secrets,
    /// As `Secrets`; besides, every scalar of `task_input` becomes `***` but the formats and the
    /// name of the image that is to be made.
    Strict,
    /// Nothing. For a destination that is as trusted as the source.
    Off,
}

pub(crate) const MASK: &str = "***";

/// What is done with a key and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    Keep,
    Mask,
    Remove,
}

impl Redact {
    pub(crate) fn key(self, key: &str) -> Rule {
        if self == Self::Off {
            return Rule::Keep;
        }
        let folded = Folded::new(key);
        let folded = folded.as_bytes();
        if REMOVED.iter().any(|word| word.as_bytes() == folded) {
            Rule::Remove
        } else if (0..folded.len()).any(|start| {
            SECRET_STARTS[usize::from(folded[start])]
                && SECRET.iter().any(|word| folded[start..].starts_with(word.as_bytes()))
        }) {
            Rule::Mask
        } else {
            Rule::Keep
        }
    }

    /// Whether values under `key` are kept back.
    pub fn hides(self, key: &str) -> bool {
        self.key(key) != Rule::Keep
    }

    /// `text` without the credentials and signatures of the URLs in it.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        // Nearly every text is short and has no colon, which is quicker to see.
        if self == Self::Off || !text.as_bytes().contains(&b':') || !text.contains("://") {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let (before, url) = rest.split_at(at + 3);
            out.push_str(before);
            // Behind the authority another URL may be nested: it is masked when its turn comes. Looked
            // for first, so that no text is looked through as often as it has URLs. Before that, `://`
            // is part of a password.
            let up_to = &url[..url.find("://").unwrap_or(url.len())];
            let nested = scheme_start(up_to);
            let end = match up_to.find(ends_url) {
                Some(end) => end,
                None if up_to.len() < url.len() && up_to[..nested].contains(AUTHORITY_ENDS) => {
                    nested
                }
                None => url.find(ends_url).unwrap_or(url.len()),
            };
            mask_url(&url[..end], &mut out);
            rest = &url[end..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// Masks the user information and the secret parameters of a URL that is cut off its scheme.
fn mask_url(url: &str, out: &mut String) {
    let authority = &url[..url.find(AUTHORITY_ENDS).unwrap_or(url.len())];
    // `user:pa/ss@host` is no URL, but people write it: what follows the colon is no port. Where there
    // are credentials, they go up to the last `@`: too much is masked rather than too little.
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let torn = !port.bytes().all(|b| b.is_ascii_digit()) && !port.ends_with(']')
        || authority.ends_with(':') && url[authority.len()..].starts_with("//");
    let mut rest = url;
    if (torn || authority.contains('@'))
        && let Some(at) = url.rfind('@')
    {
        out.push_str(MASK);
        rest = &url[at..];
    }
    // Parameters follow `?` or `&`; some services put them behind `#` or `;`.
    let mut start = 0;
    while let Some(mark) = rest[start..].find(['?', '&', '#', ';']) {
        let parameter = start + mark + 1;
        out.push_str(&rest[start..parameter]);
        start = parameter;
        // Only the end of what is masked is looked for: what is left alone is gone over once.
        let Some(length) = rest[start..].find(['?', '&', '#', ';', '=']) else { break };
        let (name, value) = rest[start..].split_at(length);
        if let Some(value) = value.strip_prefix('=')
            && (is_secret_parameter(name) || holds_credentials(value))
        {
            let length = value.find(['&', '#', ';']).unwrap_or(value.len());
            out.push_str(name);
            out.push('=');
            if length > 0 {
                out.push_str(MASK);
            }
            start = rest.len() - value.len() + length;
        }
    }
    out.push_str(&rest[start..]);
}

fn is_secret_parameter(name: &str) -> bool {
    let name = percent_decoded(name);
    Redact::Secrets.key(&name) != Rule::Keep
        || PARAMETERS.iter().any(|word| word.as_bytes() == Folded::new(&name).as_bytes())
}

/// Whether a parameter is a URL with credentials, percent-encoded.
fn holds_credentials(value: &str) -> bool {
    let value = &value[..value.find(['?', '&', '#', ';']).unwrap_or(value.len())];
    let decoded = percent_decoded(value);
    value.contains('%') && decoded.contains("://") && decoded.contains('@')
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

/// What ends the user, host and port of a URL.
const AUTHORITY_ENDS: [char; 4] = ['/', '?', '#', '\\'];

/// Where the scheme that ends `text` begins.
fn scheme_start(text: &str) -> usize {
    text.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
}

/// A key in lower case and without its separators: `X-Auth-Token`, `x_auth_token` and `xAuthToken`
/// are one word.
struct Folded {
    short: [u8; 48],
    long: Vec<u8>,
    len: usize,
}

impl Folded {
    fn new(key: &str) -> Self {
        let mut folded = Self { short: [0; 48], long: Vec::new(), len: 0 };
        let bytes = key
            .bytes()
            .filter(|b| !matches!(b, b'_' | b'-' | b'.' | b' '))
            .map(|b| b.to_ascii_lowercase());
        if key.len() > folded.short.len() {
            folded.long = bytes.collect();
        } else {
            for byte in bytes {
                folded.short[folded.len] = byte;
                folded.len += 1;
            }
        }
        folded
    }

    fn as_bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

/// Keys that hold a secret when one of these is anywhere in them; folded. The list begins with
/// `_SANITIZE_KEYS` of oslo.utils.
const SECRET: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pswd",
    "adminpass",
    "newpass",
    "userpass",
    "secret",
    "token",
    "credential",
    "privatekey",
    "encryptedkey",
    "sslkey",
    "sshkey",
    "fernetkey",
    "apikey",
    "accesskey",
    "accountkey",
    "sharedkey",
    "sessionid",
    "configdrive",
    "bearer",
];

/// The bytes with which a word of [`SECRET`] can start: most positions of most keys need no more
/// than this look.
const SECRET_STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    let mut word = 0;
    while word < SECRET.len() {
        starts[SECRET[word].as_bytes()[0] as usize] = true;
        word += 1;
    }
    starts
};

/// Keys that are left out with their values; folded.
const REMOVED: &[&str] = &[
    "location",
    "locations",
    "directurl",
    "xauthtoken",
    "xsubjecttoken",
    "xservicetoken",
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
];

/// Parameters of a URL that prove a right, besides those whose name looks secret; folded.
const PARAMETERS: &[&str] = &[
    "sig",
    "signature",
    "xamzsignature",
    "xgoogsignature",
    "tempurlsig",
    "awsaccesskeyid",
    "auth",
    "key",
    "pass",
    "pwd",
    "code",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_credentials_and_signatures() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("https://host/path", "https://host/path"),
            ("https://host:8443/p@th", "https://host:8443/p@th"),
            ("https://[2001:db8::1]/p@th", "https://[2001:db8::1]/p@th"),
            ("swift://acct:user:S3@auth/c/o", "swift://***@auth/c/o"),
            ("https://S3@host/", "https://***@host/"),
            ("https://u:S3/S3@host/x", "https://***@host/x"),
            ("https://u:p@S3@host/x", "https://***@host/x"),
            (
                "at https://u:S3@h/a and ftp://u:S3@h, bye",
                "at https://***@h/a and ftp://***@h, bye",
            ),
            ("(rbd://u:S3@h)", "(rbd://***@h)"),
            ("https://h/?a=1&X-Amz-Signature=S3&b=2", "https://h/?a=1&X-Amz-Signature=***&b=2"),
            ("https://h/?temp_url_sig=S3", "https://h/?temp_url_sig=***"),
            ("https://h/?pass%77ord=S3", "https://h/?pass%77ord=***"),
            ("https://h/#access_token=S3", "https://h/#access_token=***"),
            ("https://h/?to=ftp://u:S3@g/&x=1", "https://h/?to=ftp://***@g/&x=1"),
            ("https://u:S3@S3#S3?S3/S3@host/x", "https://***@host/x"),
            ("https://u:S3://S3@host/x", "https://***@host/x"),
            ("https://h/?to=https%3A%2F%2Fu%3AS3%40g&x=1", "https://h/?to=***&x=1"),
            ("https://h?token=S3é d", "https://h?token=*** d"),
            ("éhttps://u:S3@h", "éhttps://***@h"),
            ("://u:S3@h", "://***@h"),
        ] {
            let shown = Redact::Secrets.text(text);
            assert_eq!(shown, expected);
            assert!(!shown.contains("S3"));
            assert_eq!(Redact::Off.text(text), text);
        }
    }

    /// Each byte is looked at a bounded number of times. Where it is not, this takes minutes, and so
    /// would `emit`.
    #[test]
    fn hostile_texts_are_masked_in_one_pass() {
        for part in ["://", "a://b@c", "?", "&a=", "?a=b", "?=", "%", "@", "#token"] {
            let hostile = format!("x://{}", part.repeat(256 * 1024 / part.len()));
            let shown = Redact::Secrets.text(&hostile);
            assert!(shown.starts_with("x://") && !shown.contains("b@c"), "{part}");
        }
    }

    #[test]
    fn keys_are_folded_before_they_are_judged() {
        for (key, rule) in [
            ("os_distro", Rule::Keep),
            ("img_signature_certificate_uuid", Rule::Keep),
            ("adminPass", Rule::Mask),
            ("s3_store-SECRET.key", Rule::Mask),
            ("private-key", Rule::Mask),
            ("X-Auth-Token", Rule::Remove),
            ("Location", Rule::Remove),
            ("direct_url", Rule::Remove),
            ("allocation", Rule::Keep),
            ("a_very_long_key_that_does_not_fit_the_stack_but_ends_in_password", Rule::Mask),
            ("", Rule::Keep),
        ] {
            assert_eq!(Redact::Secrets.key(key), rule, "{key}");
            assert_eq!(Redact::Off.key(key), Rule::Keep, "{key}");
        }
    }
}
