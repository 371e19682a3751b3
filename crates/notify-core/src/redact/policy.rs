//! The redaction policy: [`Redact`], which users select with the option `redact`.
//!
//! The policy decides; [`rules`](super::rules) holds the words, and [`url`](super::url) finds
//! credentials in URLs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::rules::{KeyRule, RULES};
use super::url;

/// The redaction policy of a destination.
///
/// # Examples
///
/// ```
/// use notify_core::redact::Redact;
///
/// let text = "cannot read https://user:secret@store/image?sig=abc";
/// assert_eq!(Redact::Secrets.text(text), "cannot read https://***@store/image?sig=***");
/// assert_eq!(Redact::Off.text(text), text);
///
/// assert!(Redact::Secrets.hides("X-Auth-Token"));
/// assert!(!Redact::Secrets.hides("os_distro"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Redact {
    /// Masks values under keys that look secret, and credentials and signatures of URLs in any text,
    /// as `***`. Omits keys such as `location`, `locations`, `direct_url`, `authorization` and
    /// `cookie` together with their values.
    #[default]
    Secrets,
    /// Does the same as `Secrets`, and masks every scalar of `task_input` except the formats and the
    /// name of the new image.
    Strict,
    /// Removes nothing. Use it only for a destination that you trust as much as the source.
    Off,
}

impl Redact {
    /// Returns the rule for `key` and its value.
    #[inline]
    pub(crate) fn key(self, key: &str) -> KeyRule {
        if self == Self::Off { KeyRule::Keep } else { RULES.key(key.as_bytes()) }
    }

    /// Returns `true` if this policy masks or omits values under `key`.
    ///
    /// Case and the separators `_`, `-`, `.` and space make no difference.
    pub fn hides(self, key: &str) -> bool {
        self.key(key).hides()
    }

    /// Returns `text` without the credentials and signatures of the URLs in it.
    ///
    /// This includes URLs that are not quite valid: it also masks a password with an unescaped slash,
    /// quote or space. It cannot recognize a password with a space if the part before the first space
    /// is all digits, because that part looks like a port.
    ///
    /// A text that begins with a slash, such as the target of a request, loses the signatures in its query.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        let has_query = text.starts_with('/') && text.contains('?');
        if self == Self::Off || !has_query && url::find_url_mark(text).is_none() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(url::mask(text, &RULES))
    }

    /// Returns a query string without the values of its secret parameters and otherwise as [`text`](Self::text)
    /// does.
    #[cold]
    pub(crate) fn query(self, query: &str) -> String {
        const TARGET: &str = "/?";
        self.text(&format!("{TARGET}{query}"))[TARGET.len()..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also URLs inside URLs, badly escaped passwords, and encoded names. `S3` is the secret.
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
            ("https://h/?token=S3/S3://S3&x=1", "https://h/?token=***&x=1"),
            ("https://h/?to=ftp://u:S3@g/&x=1", "https://h/?to=ftp://***@g/&x=1"),
            ("https://u:S3@S3#S3?S3/S3@host/x", "https://***@host/x"),
            ("https://u:S3://S3@host/x", "https://***@host/x"),
            ("https://h/?to=https%3A%2F%2Fu%3AS3%40g&x=1", "https://h/?to=***&x=1"),
            ("https://h?token=S3é d", "https://h?token=*** d"),
            ("éhttps://u:S3@h", "éhttps://***@h"),
            ("://u:S3@h", "://***@h"),
            ("at https://u:S3 S3@h/a, ask a@b", "at https://***@h/a, ask a@b"),
            ("https://u:S3'S3\"S3 S3@h", "https://***@h"),
            ("https://u:S3/S3 S3@h", "https://***@h"),
            ("https://u:S3 S3:/ S3 @h", "https://***@h"),
            ("https://u:S3/S3@://S3@h", "https://***@h"),
            ("https://h/@ftp://u:S3@g", "https://h/@ftp://***@g"),
            ("https://h/?to=a=ftp://u:S3@g b%3A%2F%2F", "https://h/?to=a=ftp://***@g b%3A%2F%2F"),
            ("https://h/a=b%2F%2F/ftp://u:S3@g/?c=d%3A", "https://h/a=b%2F%2F/ftp://***@g/?c=d%3A"),
            ("https://u://S3:/S3@h//e://u:S3 S3@g", "https://***@h//e://***@g"),
            ("https://u:S3 @:/S3/@://S3@h", "https://***@h"),
            ("https://u:S3 S3@h/x://u:S3 S3@h", "https://***@h/x://***@h"),
            (r"at https:\/\/u:S3@h\/a?sig=S3", r"at https:\/\/***@h\/a?sig=***"),
            (r"https:\/\/u:S3\/S3@h", r"https:\/\/***@h"),
            (r"https:\/\/u:S3:\/\/S3@h", r"https:\/\/***@h"),
            (r"https:\\\/\\\/u:S3@h", r"https:\\\/\\\/***@h"),
            (
                r#"{"a":"https:\/\/h\/?to=ftp:\/\/u:S3@g"}"#,
                r#"{"a":"https:\/\/h\/?to=ftp:\/\/***@g"}"#,
            ),
            ("/v1/c/o?temp_url_sig=S3&x=1", "/v1/c/o?temp_url_sig=***&x=1"),
            ("/v1?sig=S3/S3://S3&to=ftp://u:S3@g/?a=1", "/v1?sig=***&to=ftp://***@g/?a=1"),
            ("/v1?sig=S3, then ftp://u:S3@g/?sig=S3", "/v1?sig=*** then ftp://***@g/?sig=***"),
            ("//u@h/?pass%77ord=S3#token=S3", "//u@h/?pass%77ord=***#token=***"),
            ("/https://u:S3@h/", "/https://***@h/"),
        ] {
            let shown = Redact::Secrets.text(text);
            assert_eq!(shown, expected);
            assert_eq!(Redact::Secrets.text(&shown), expected, "masked again");
            assert!(!shown.contains("S3"));
            assert_eq!(Redact::Off.text(text), text);
        }
    }

    /// A mail address beside a URL is not the end of a password with a space.
    #[test]
    fn leaves_text_beside_urls_alone() {
        for text in [
            "at http://host:80 as bob@example.org",
            "at http://host:80, ask bob@example.org",
            "(http://host:80). Ask bob@example.org",
            "http://host: refused, ask bob@example.org",
            "http://host/a:b is gone, ask bob@example.org",
            "http://[2001:db8::ab] is down, ask bob@example.org",
            "http://[::1]:80 is down, ask bob@example.org",
            "http://host:name\nask bob@example.org",
            "/v2/images?limit=20&sort_key=created_at",
            "/var/lib/glance: ask bob@example.org?",
            "correlation_id?key=value",
        ] {
            assert_eq!(Redact::Secrets.text(text), text);
        }
    }

    /// Masking takes linear time. With quadratic time this test takes minutes, and so would `emit`.
    #[test]
    fn masks_hostile_texts_in_one_pass() {
        for part in [
            "://",
            "a://b@c",
            "a://b:c ",
            "a:://b/@",
            "?key=a/b://",
            r":\/\/",
            r"?key=a/b:\/\/",
            "?",
            "&a=",
            "?a=b",
            "?=",
            "%",
            "@",
            "#token",
        ] {
            let hostile = format!("x://{}", part.repeat(256 * 1024 / part.len()));
            let value = format!("x://h/?key=a{}", &hostile[4..]);
            assert!(Redact::Secrets.text(&value).starts_with("x://h/?key="), "{part}");
            let target = format!("/?key=a{}", &hostile[4..]);
            assert!(Redact::Secrets.text(&target).starts_with("/?key="), "{part}");
            let shown = Redact::Secrets.text(&hostile);
            assert!(shown.starts_with("x://") && !shown.contains("b@c"), "{part}");
        }
        // A long authority in front of many URLs in the value of a secret parameter.
        let authority = "A".repeat(512 * 1024);
        let nested = "?key=@/b://".repeat(48 * 1024);
        let hostile = format!("x://{authority}/{nested}");
        assert!(Redact::Secrets.text(&hostile) == format!("x://{authority}/?key=***"));
        let hostile = format!("x://{authority}:p/{nested}");
        assert_eq!(Redact::Secrets.text(&hostile), "x://***@/b://");
    }

    /// `xAuthToken` and `x-auth-token` are the same key, and `allocation` is not `location`.
    #[test]
    fn matches_keys_regardless_of_case_and_separators() {
        for (key, rule) in [
            ("os_distro", KeyRule::Keep),
            ("img_signature_certificate_uuid", KeyRule::Keep),
            ("adminPass", KeyRule::Mask),
            ("s3_store-SECRET.key", KeyRule::Mask),
            ("private-key", KeyRule::Mask),
            ("X-Auth-Token", KeyRule::Remove),
            ("HTTP_X_SERVICE_TOKEN", KeyRule::Remove),
            ("HTTP_ACCEPT", KeyRule::Keep),
            ("PSK", KeyRule::Mask),
            ("psk_mode", KeyRule::Keep),
            ("QUERY_STRING", KeyRule::Query),
            ("query_strings", KeyRule::Keep),
            ("Location", KeyRule::Remove),
            ("direct_url", KeyRule::Remove),
            ("allocation", KeyRule::Keep),
            ("a_very_long_key_that_does_not_fit_the_stack_but_ends_in_password", KeyRule::Mask),
            ("", KeyRule::Keep),
        ] {
            assert_eq!(Redact::Secrets.key(key), rule, "{key}");
            assert_eq!(Redact::Off.key(key), KeyRule::Keep, "{key}");
        }
    }
}
