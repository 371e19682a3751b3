//! The problems of a notification, each at its JSON pointer.
//!
//! A problem names types and words of closed vocabularies. It never repeats another value, which may be
//! a secret.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::redact::policy::Redact;
use crate::redact::printable::printable;

/// One thing wrong with a notification.
///
/// `Display` puts the parts together: `/payload/size: expected a whole number, found a string`. Some
/// problems read better without an expectation, and print `found` alone:
///
/// | `expected` | `found` | printed |
/// |---|---|---|
/// | `an object` | `nothing` | missing, expected an object |
/// | `JSON` | `unexpected character at column 2` | not JSON: unexpected character at column 2 |
/// | `only the six attributes …` | ``unknown attribute `topic` `` | ``unknown attribute `topic` `` |
/// | `a notification within the limits` | `the payload has too many keys …` | the payload has too many keys … |
/// | `a notification as one line of JSON` | `gzip data: decompress it first …` | gzip data: decompress it first … |
///
/// # Examples
///
/// ```
/// use notify_core::codec::Problem;
///
/// let problem = Problem {
///     pointer: "/payload/size".into(),
///     expected: "a whole number".into(),
///     found: "a string".into(),
/// };
/// assert_eq!(problem.to_string(), "/payload/size: expected a whole number, found a string");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The JSON pointer (RFC 6901) to the wrong value; empty for the whole notification.
    ///
    /// A key in it may come from outside: escape the pointer with
    /// [`printable`](crate::redact::printable) before you show it.
    pub pointer: String,
    /// The value that belongs there.
    pub expected: String,
    /// The type of the value that is there, or the value itself if it is an event type, a priority,
    /// a status or an id.
    pub found: String,
}

impl Problem {
    /// Creates a problem.
    pub(crate) fn new(
        pointer: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", printable(&self.pointer, 256))?;
        }
        match (self.expected.as_str(), self.found.as_str()) {
            (expected, NOTHING) => write!(f, "missing, expected {expected}"),
            (JSON, found) => write!(f, "not JSON: {found}"),
            (ONLY_ATTRIBUTES | WITHIN_LIMITS | ONE_LINE, found) => f.write_str(found),
            (expected, found) => write!(f, "expected {expected}, found {found}"),
        }
    }
}

/// All problems of one notification, at least one.
///
/// `Display` prints the first problem and the number of others. Converting into an [`Error`] keeps
/// that text.
///
/// # Examples
///
/// ```
/// use notify_core::codec::{NotificationInput, SizeLimits};
///
/// let line = br#"{"event_type": "image.upload", "priority": "HIGH", "payload": "", "topic": 1}"#;
/// let problems = NotificationInput::decode(line, &SizeLimits::default()).unwrap_err();
///
/// let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
/// assert_eq!(
///     texts,
///     [
///         r#"/priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found "HIGH""#,
///         "/topic: unknown attribute `topic`",
///     ],
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    kind: ErrorKind,
    problems: Vec<Problem>,
}

impl Problems {
    /// Creates the problems of one notification, of which there is at least one.
    pub(crate) fn new(kind: ErrorKind, problems: Vec<Problem>) -> Self {
        Self { kind, problems }
    }

    /// Creates the only problem of a notification.
    pub(crate) fn one(kind: ErrorKind, problem: Problem) -> Self {
        Self { kind, problems: vec![problem] }
    }

    /// Puts the problems of a text inside a string below the pointer to that string.
    ///
    /// Pointers into the text stay as they are: they lead into the notification.
    pub(crate) fn inside(mut self, pointer: &str) -> Self {
        for problem in &mut self.problems {
            if problem.pointer.is_empty() {
                pointer.clone_into(&mut problem.pointer);
            }
        }
        self
    }

    /// Returns the problems in the order in which reading found them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [] => f.write_str("nothing"),
            [problem] => problem.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::new(problems.kind, problems.to_string())
    }
}

/// Returns the type of a JSON value in the words of a problem.
pub(crate) fn kind_of(json: &str) -> &'static str {
    match json.as_bytes() {
        [b'n', ..] => "null",
        [b't' | b'f', ..] => "a boolean",
        [b'"', ..] => "a string",
        [b'[', ..] => "a list",
        [b'{', ..] => "an object",
        _ if json.contains(['.', 'e', 'E']) => "a floating-point number",
        [b'-', ..] => "a negative number",
        _ => "a whole number",
    }
}

/// The finding that a required key is absent. The problem prints "missing".
pub(crate) const NOTHING: &str = "nothing";

/// The expectation that a text is JSON. The problem prints "not JSON".
pub(crate) const JSON: &str = "JSON";

/// The finding that Rust has no value for a JSON text: half a surrogate pair, or a huge number.
pub(crate) const UNREADABLE: &str = "half a surrogate pair or a number out of range";

/// The expectation that every attribute is known. The problem prints only its finding.
pub(crate) const ONLY_ATTRIBUTES: &str = "only the six attributes of a notification";

/// The expectation that a notification keeps the limits. The problem prints only its finding.
pub(crate) const WITHIN_LIMITS: &str = "a notification within the limits";

/// The expectation of an input whose form is known. The problem prints only its finding.
pub(crate) const ONE_LINE: &str = "a notification as one line of JSON";

/// Escapes a key as a segment of a JSON pointer.
///
/// A key that is a URL loses its credentials, as it does when it is written.
pub(crate) fn escape(key: &str) -> String {
    Redact::Secrets.text(key).replace('~', "~0").replace('/', "~1")
}
