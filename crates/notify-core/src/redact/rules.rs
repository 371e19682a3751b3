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
    /// Keep the key and mask the value.
    Mask,
    /// Remove both.
    Remove,
}

/// A set of redaction rules. All words are [folded](FoldedKey).
#[derive(Clone, Copy)]
pub(super) struct SecretRules<'a> {
    /// Words that mark a key as secret, anywhere in the key.
    secret: &'a [&'a str],
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

impl SecretRules<'_> {
    /// Returns the treatment of `key`.
    pub(super) fn key(&self, key: &str) -> KeyRule {
        let folded = FoldedKey::new(key);
        let folded = folded.as_bytes();
        if self.removed.iter().any(|word| word.as_bytes() == folded) {
            KeyRule::Remove
        } else if (0..folded.len()).any(|start| {
            SECRET_STARTS[usize::from(folded[start])]
                && self.secret.iter().any(|word| folded[start..].starts_with(word.as_bytes()))
        }) {
            KeyRule::Mask
        } else {
            KeyRule::Keep
        }
    }

    /// Returns `true` if the URL parameter `name` holds a secret.
    pub(super) fn parameter(&self, name: &str) -> bool {
        self.key(name) != KeyRule::Keep
            || self.parameters.iter().any(|word| word.as_bytes() == FoldedKey::new(name).as_bytes())
    }

    /// Returns `true` if these rules include `shape`.
    pub(super) fn knows(&self, shape: CredentialShape) -> bool {
        self.shapes.contains(&shape)
    }
}

/// A key in lower case without separators, so that `X-Auth-Token`, `x_auth_token` and `xAuthToken` are
/// equal.
///
/// Folding runs for every key of every payload, so short keys need no allocation.
struct FoldedKey {
    short: [u8; 48],
    /// The folded key if it does not fit into `short`.
    long: Vec<u8>,
    len: usize,
}

impl FoldedKey {
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

/// The rules in force.
pub(super) const RULES: SecretRules<'static> = SecretRules {
    secret: SECRET,
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
    "accountkey",
    "sharedkey",
    "sessionid",
    "configdrive",
    "bearer",
];

/// The first bytes of the words of [`SECRET`]. One lookup rules out most positions of most keys.
const SECRET_STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    let mut word = 0;
    while word < SECRET.len() {
        starts[SECRET[word].as_bytes()[0] as usize] = true;
        word += 1;
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
        let masked = MASKED_KEYS.iter().filter(|key| rules.key(key) == KeyRule::Keep);
        let removed = REMOVED_KEYS.iter().filter(|key| rules.key(key) != KeyRule::Remove);
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
        let doc = FoldedKey::new(include_str!("../../../../docs/SECURITY.md")).long;
        let doc = String::from_utf8(doc).unwrap();
        for word in [SECRET, REMOVED, PARAMETERS].concat() {
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
