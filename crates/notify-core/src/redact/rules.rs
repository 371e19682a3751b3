//! What is secret, as data: a test takes away one rule at a time, and sees a secret come out.

pub(crate) const MASK: &str = "***";

/// What is done with a key and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyRule {
    Keep,
    Mask,
    Remove,
}

/// What is secret.
#[derive(Clone, Copy)]
pub(super) struct SecretRules<'a> {
    /// Keys that hold a secret when one of these is anywhere in them; folded.
    secret: &'a [&'a str],
    /// Keys that are left out with their values; folded.
    removed: &'a [&'a str],
    /// Parameters of a URL that prove a right, besides those whose name looks secret; folded.
    parameters: &'a [&'a str],
    /// How credentials stand in a URL, and in what people write for one.
    shapes: &'a [CredentialShape],
}

/// How credentials stand in a URL, and in what people write for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialShape {
    /// Before the host, as they should: `user:password@host`.
    UserInfo,
    /// With a slash that is not encoded: `user:pass/word@host`.
    UnescapedSlash,
    /// With a space or a quote that is not encoded: `user:pass word@host`.
    UnescapedSpace,
    /// In a parameter that is percent-encoded by its name: `pass%77ord=`.
    EncodedName,
    /// In a URL that is a parameter, percent-encoded: `to=https%3A%2F%2Fuser%3Apassword%40host`.
    EncodedUrl,
}

impl SecretRules<'_> {
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

    pub(super) fn parameter(&self, name: &str) -> bool {
        self.key(name) != KeyRule::Keep
            || self.parameters.iter().any(|word| word.as_bytes() == FoldedKey::new(name).as_bytes())
    }

    pub(super) fn knows(&self, shape: CredentialShape) -> bool {
        self.shapes.contains(&shape)
    }
}

/// A key in lower case and without its separators: `X-Auth-Token`, `x_auth_token` and `xAuthToken`
/// are one word.
struct FoldedKey {
    short: [u8; 48],
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

/// All of them.
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

/// The list begins with `_SANITIZE_KEYS` of oslo.utils.
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

    /// What comes out of the samples that everything here is tested with.
    fn leaks(rules: &SecretRules<'_>) -> Vec<String> {
        let masked = MASKED_KEYS.iter().filter(|key| rules.key(key) == KeyRule::Keep);
        let removed = REMOVED_KEYS.iter().filter(|key| rules.key(key) != KeyRule::Remove);
        let texts = secrets::texts();
        let texts = texts.iter().filter(|text| url::mask(text, rules).contains(secrets::SECRET));
        masked.chain(removed).map(|&key| key.to_owned()).chain(texts.cloned()).collect()
    }

    fn without<T: Copy>(list: &[T], index: usize) -> Vec<T> {
        [&list[..index], &list[index + 1..]].concat()
    }

    #[test]
    fn the_security_document_names_every_secret_word() {
        let doc = FoldedKey::new(include_str!("../../../../docs/SECURITY.md")).long;
        let doc = String::from_utf8(doc).unwrap();
        for word in [SECRET, REMOVED, PARAMETERS].concat() {
            assert!(doc.contains(&format!("`{word}`")), "{word}");
        }
    }

    /// The samples are planted in every payload of the tests of secrets: each of these fails when any
    /// rule is switched off, and no rule is superfluous.
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
