//! Access to the pages: [`AccessRules`] by host name and token, and the security headers of every response.
//!
//! The rules protect an archive on loopback from web pages of others: a page whose name resolves to 127.0.0.1
//! (DNS rebinding) sends its own name as `Host`, which is refused.

use std::fmt;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::request_host::is_address_or_localhost;

/// The hosts under whose names the pages answer, and the token that they require.
///
/// # Examples
///
/// ```
/// use glance_notify_cli::web::{AccessRules, AccessToken};
///
/// let token = AccessToken::new("0123456789abcdef").unwrap();
/// let rules = AccessRules::default().host("audit.example.org").token(token);
/// # drop(rules);
/// assert!(AccessToken::new("short").is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    hosts: Vec<String>,
    token: Option<AccessToken>,
}

/// A token that every request must have. It keeps a hash only.
#[derive(Clone)]
pub struct AccessToken([u8; 32]);

/// The reason why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AccessRefusal {
    /// The request names no host, or names it in two ways.
    NoHost,
    /// The site does not answer under this name.
    UnknownHost(String),
    /// The request has no token, or a wrong one.
    Unauthorized,
}

impl AccessRules {
    /// Adds a name under which the pages answer. `localhost` and addresses always are.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_ascii_lowercase());
        self
    }

    /// Sets the token.
    #[must_use]
    pub fn token(mut self, token: AccessToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Decides about a request.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), AccessRefusal> {
        let mut named = headers.get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(AccessRefusal::NoHost);
        };
        let host = host.to_str().map_err(|_| AccessRefusal::NoHost)?;
        self.check_host(host)?;
        // A request to a proxy has its target in the first line too.
        if let Some(authority) = uri.authority() {
            self.check_host(authority.as_str())?;
        }
        match &self.token {
            Some(token) if !token.is_in(headers) => Err(AccessRefusal::Unauthorized),
            _ => Ok(()),
        }
    }

    fn check_host(&self, host: &str) -> Result<(), AccessRefusal> {
        let authority: Authority = host.parse().map_err(|_| AccessRefusal::NoHost)?;
        let name = authority.host().to_ascii_lowercase();
        let is_known = is_address_or_localhost(&name) || self.hosts.contains(&name);
        if is_known && !host.contains('@') {
            return Ok(());
        }
        Err(AccessRefusal::UnknownHost(name))
    }
}

impl AccessToken {
    /// Creates a token from its text.
    ///
    /// # Errors
    ///
    /// Returns a text that says what to change if it has fewer than 16 characters, or characters that a browser
    /// cannot send.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < SHORTEST_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "expected at least {SHORTEST_TOKEN} letters, digits or punctuation marks on one line"
            ));
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Returns `true` if the header `Authorization` has the token: as `Bearer`, or as the password of `Basic`,
    /// for which browsers ask.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, value)) = value.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(value.as_bytes());
        }
        let decoded = STANDARD.decode(value).unwrap_or_default();
        let password = decoded.splitn(2, |byte| *byte == b':').nth(1);
        scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| self.is(password))
    }

    /// Compares in a time that does not depend on the content.
    fn is(&self, text: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(text).into();
        self.0.ct_eq(&hash).into()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(***)")
    }
}

/// Adds the headers that every response has.
pub(super) fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// The shortest token in characters.
const SHORTEST_TOKEN: usize = 16;

/// No script at all, styles and pictures from here only, forms to here only, in no frame.
const SECURITY_HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), usb=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-robots-tag", "noindex, nofollow"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &AccessRules, host: &str, authorization: &str) -> Result<(), AccessRefusal> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        rules.check(&Uri::from_static("/search"), &headers)
    }

    /// A web page elsewhere whose name resolves to this machine gets nothing (DNS rebinding).
    #[test]
    fn only_addresses_and_known_names_are_answered() {
        let rules = AccessRules::default().host("Audit.example.org");
        for host in [
            "127.0.0.1:9470",
            "localhost",
            "LOCALHOST:1",
            "[::1]:9470",
            "audit.example.org:443",
            "10.0.0.7",
        ] {
            assert_eq!(check(&rules, host, ""), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "user@localhost", ""]
        {
            assert!(check(&rules, host, "").is_err(), "{host}");
        }
        assert_eq!(
            rules.check(&Uri::from_static("/"), &HeaderMap::new()),
            Err(AccessRefusal::NoHost)
        );
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        let elsewhere = Uri::from_static("http://evil.example/search");
        assert!(rules.check(&elsewhere, &headers).is_err());
    }

    /// A token opens the pages as a password of a browser and as a bearer token, and nothing else does.
    #[test]
    fn a_token_is_required_in_full() {
        let rules = AccessRules::default().token(AccessToken::new("0123456789abcdef").unwrap());
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for good in [
            "Bearer 0123456789abcdef".to_owned(),
            basic("any:0123456789abcdef"),
            basic(":0123456789abcdef"),
        ] {
            assert_eq!(check(&rules, "localhost", &good), Ok(()), "{good}");
        }
        for bad in [
            String::new(),
            "Bearer 0123456789abcde".to_owned(),
            "Bearer 0123456789abcdef0".to_owned(),
            basic("0123456789abcdef"),
            basic("0123456789abcdef:"),
            "Basic ???".to_owned(),
            "Bearer".to_owned(),
        ] {
            let refused = Err(AccessRefusal::Unauthorized);
            assert_eq!(check(&rules, "localhost", &bad), refused, "{bad}");
        }
        assert!(!format!("{rules:?}").contains("0123456789abcdef"));
    }
}
