//! The rules of redaction, as data: words of secret keys, and shapes of credentials in URLs.
//!
//! The rules are a value and not code, so that a test can remove one at a time and check that a secret
//! then gets out. `docs/SECURITY.md` lists every word, and a test compares the two.

/// The text in place of a masked value.
pub(crate) const MASK: &str = "***";

/// The treatment of a key and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyRule {
    /// Keep both.
    Keep,
    /// Keep both, and mask the secret parameters in the value, a query string.
    Query,
    /// Keep the key and mask the value.
    Mask,
    /// Remove both.
    Remove,
}

/// A set of redaction rules. All words are [folded](fold).
#[derive(Clone, Copy)]
pub(super) struct SecretRules<'a> {
    /// Words that mark a key as secret, anywhere in the key.
    secret: &'a [&'a str],
    /// Whole keys whose values to mask.
    masked: &'a [&'a str],
    /// Whole keys to remove together with their values.
    removed: &'a [&'a str],
    /// Whole names of URL parameters that grant access, in addition to names that look secret.
    parameters: &'a [&'a str],
    /// Shapes of credentials in a URL.
    shapes: &'a [CredentialShape],
}

/// A shape in which credentials occur in a URL, valid or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialShape {
    /// In front of the host, as RFC 3986 defines it: `user:password@host`.
    UserInfo,
    /// In front of the host, with an unescaped slash: `user:pass/word@host`.
    UnescapedSlash,
    /// In front of the host, with an unescaped space or quote: `user:pass word@host`.
    UnescapedSpace,
    /// In a parameter with a percent-encoded name: `pass%77ord=`.
    EncodedName,
    /// In a percent-encoded URL as a parameter: `to=https%3A%2F%2Fuser%3Apassword%40host`.
    EncodedUrl,
}

impl KeyRule {
    /// Returns `true` if the rule masks or removes the whole value.
    pub(super) fn hides(self) -> bool {
        matches!(self, Self::Mask | Self::Remove)
    }
}

impl SecretRules<'_> {
    /// Returns the treatment of `key`.
    pub(super) fn key(&self, key: &[u8]) -> KeyRule {
        if !has_secret_start(key) {
            return KeyRule::Keep;
        }
        let folded = fold(key);
        // WSGI puts `HTTP_` in front of the name of a header.
        let header = folded.strip_prefix(b"http").unwrap_or(&folded);
        if self.removed.iter().any(|word| word.as_bytes() == header) {
            KeyRule::Remove
        } else if folded == QUERY_STRING.as_bytes() {
            KeyRule::Query
        } else if self.masked.iter().any(|word| word.as_bytes() == folded)
            || folded.windows(4).enumerate().filter(|(_, letters)| has_secret_start(letters)).any(
                |(start, _)| {
                    self.secret.iter().any(|word| folded[start..].starts_with(word.as_bytes()))
                },
            )
        {
            KeyRule::Mask
        } else {
            KeyRule::Keep
        }
    }

    /// Returns `true` if the URL parameter `name` holds a secret.
    pub(super) fn parameter(&self, name: &str) -> bool {
        let name = name.as_bytes();
        self.key(name).hides() || self.parameters.iter().any(|word| word.as_bytes() == fold(name))
    }

    /// Returns `true` if these rules include `shape`.
    pub(super) fn knows(&self, shape: CredentialShape) -> bool {
        self.shapes.contains(&shape)
    }
}

/// Returns a key in lower case without separators, so that `X-Auth-Token`, `x_auth_token` and `xAuthToken`
/// are equal.
fn fold(key: &[u8]) -> Vec<u8> {
    key.iter().filter(|byte| !is_separator(**byte)).map(u8::to_ascii_lowercase).collect()
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b' ')
}

/// Returns `true` if four letters of a key, or all of a shorter one, may begin a word of the rules in force.
///
/// It rules out most keys, and runs for every key of every payload.
#[inline]
fn has_secret_start(key: &[u8]) -> bool {
    let (mut letters, mut starts) = (0, 0);
    for &byte in key {
        if !is_separator(byte) {
            letters = next_letters(letters, byte);
            let start = start(letters);
            starts |= SECRET_STARTS[start / 64] >> (start % 64);
        }
    }
    starts & 1 == 1
}

/// Appends a letter. Upper case and lower case are the same.
const fn next_letters(letters: usize, byte: u8) -> usize {
    letters << 3 ^ byte as usize & 31
}

/// Returns the number of the last four letters.
const fn start(letters: usize) -> usize {
    letters & 0xfff
}

/// The rules in force.
pub(super) const RULES: SecretRules<'static> = SecretRules {
    secret: SECRET,
    masked: MASKED,
    removed: REMOVED,
    parameters: PARAMETERS,
    shapes: &[
        CredentialShape::UserInfo,
        CredentialShape::UnescapedSlash,
        CredentialShape::UnescapedSpace,
        CredentialShape::EncodedName,
        CredentialShape::EncodedUrl,
    ],
};

/// Words of secret keys. The list begins with `_SANITIZE_KEYS` of oslo.utils.
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
    "authkey",
    "accountkey",
    "sharedkey",
    "tempurlkey",
    "xstoragepass",
    "sessionid",
    "configdrive",
    "userdata",
    "bearer",
];

/// Whole keys whose values to mask: a pre-shared key of Neutron, and volumes of Cinder with CHAP passwords in texts.
const MASKED: &[&str] = &["psk", "connectioninfo", "providerauth"];

/// The key under which WSGI has the query string of a request.
const QUERY_STRING: &str = "querystring";

/// The first four letters of the words of [`SECRET`], [`MASKED`] and [`REMOVED`] and of [`QUERY_STRING`], as bits.
static SECRET_STARTS: [u64; 0x1000 / 64] = {
    const LISTS: [&[&str]; 4] = [SECRET, MASKED, REMOVED, &[QUERY_STRING]];
    let mut starts = [0; 0x1000 / 64];
    let (mut list, mut index) = (0, 0);
    while list < LISTS.len() {
        if index == LISTS[list].len() {
            list += 1;
            index = 0;
            continue;
        }
        let word = LISTS[list][index].as_bytes();
        let (mut letters, mut at) = (0, 0);
        while at < 4 && at < word.len() {
            letters = next_letters(letters, word[at]);
            at += 1;
        }
        starts[start(letters) / 64] |= 1 << (start(letters) % 64);
        index += 1;
    }
    starts
};

/// Keys to remove: places of data, which grant access to it, and headers with tokens.
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

/// Parameters of signed URLs: S3, Google Cloud Storage, Azure, Swift, and common short names.
const PARAMETERS: &[&str] = &[
    "sig",
    "signature",
    "xamzsignature",
    "xgoogsignature",
    "tempurlsig",
    "auth",
    "key",
    "pass",
    "pwd",
    "code",
];

#[cfg(test)]
mod tests {
    use notify_testbed::secrets::{self, MASKED_KEYS, REMOVED_KEYS};

    use super::*;
    use crate::redact::url;

    /// Returns the samples that still show a secret after redaction by `rules`.
    fn leaks(rules: &SecretRules<'_>) -> Vec<String> {
        let masked = MASKED_KEYS.iter().filter(|key| rules.key(key.as_bytes()) == KeyRule::Keep);
        let removed =
            REMOVED_KEYS.iter().filter(|key| rules.key(key.as_bytes()) != KeyRule::Remove);
        let texts = secrets::texts();
        let texts = texts.iter().filter(|text| url::mask(text, rules).contains(secrets::SECRET));
        masked.chain(removed).map(|&key| key.to_owned()).chain(texts.cloned()).collect()
    }

    /// Returns `list` without the element at `index`.
    fn without<T: Copy>(list: &[T], index: usize) -> Vec<T> {
        [&list[..index], &list[index + 1..]].concat()
    }

    /// Operators can look up every word that redaction acts on.
    #[test]
    fn the_security_document_names_every_secret_word() {
        let doc = fold(include_bytes!("../../../../docs/SECURITY.md"));
        let doc = String::from_utf8(doc).unwrap();
        for word in [SECRET, MASKED, REMOVED, PARAMETERS, &[QUERY_STRING]].concat() {
            assert!(doc.contains(&format!("`{word}`")), "{word}");
        }
    }

    /// Removing any one rule lets a secret out, so no rule is superfluous and no sample is untested.
    ///
    /// The tests of secrets plant the same samples in every payload, so they fail too if a rule is
    /// missing.
    #[test]
    fn every_redaction_rule_is_needed() {
        assert_eq!(leaks(&RULES), [""; 0]);
        let needed = |rules: &SecretRules<'_>, rule: &dyn std::fmt::Debug| {
            assert_ne!(leaks(rules), [""; 0], "nothing needs {rule:?}");
        };
        for (index, word) in SECRET.iter().enumerate() {
            needed(&SecretRules { secret: &without(SECRET, index), ..RULES }, word);
        }
        for (index, word) in MASKED.iter().enumerate() {
            needed(&SecretRules { masked: &without(MASKED, index), ..RULES }, word);
        }
        for (index, word) in REMOVED.iter().enumerate() {
            needed(&SecretRules { removed: &without(REMOVED, index), ..RULES }, word);
        }
        for (index, word) in PARAMETERS.iter().enumerate() {
            needed(&SecretRules { parameters: &without(PARAMETERS, index), ..RULES }, word);
        }
        for (index, shape) in RULES.shapes.iter().enumerate() {
            needed(&SecretRules { shapes: &without(RULES.shapes, index), ..RULES }, shape);
        }
    }
}
