//! The problems that reading finds in a notification, each at its JSON pointer.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::redact::policy::Redact;
use crate::redact::printable::printable;

/// One thing wrong with a notification that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What should be there.
    pub expected: String,
    /// What kind of thing is there. Values are not repeated, except of event types, priorities,
    /// statuses and ids.
    pub found: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", printable(&self.pointer, 256))?;
        }
        match (self.expected.as_str(), self.found.as_str()) {
            (expected, NOTHING) => write!(f, "missing, expected {expected}"),
            (JSON, found) => write!(f, "not JSON: {found}"),
            (ONLY_ATTRIBUTES | WITHIN_LIMITS, found) => f.write_str(found),
            (expected, found) => write!(f, "expected {expected}, found {found}"),
        }
    }
}

/// Everything that is wrong with one line of input. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    kind: ErrorKind,
    problems: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(kind: ErrorKind, problems: Vec<Problem>) -> Self {
        Self { kind, problems }
    }

    pub(crate) fn one(kind: ErrorKind, problem: Problem) -> Self {
        Self { kind, problems: vec![problem] }
    }

    /// Each of them.
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

/// Found where a required key is absent. Prints as "missing".
pub(crate) const NOTHING: &str = "nothing";

/// Expected where a text is not JSON. Prints as "not JSON".
pub(crate) const JSON: &str = "JSON";

/// Expected where an attribute is unknown. Only what was found is printed.
pub(crate) const ONLY_ATTRIBUTES: &str = "only the six attributes of a notification";

/// Expected where a limit is exceeded. Only what was found is printed.
pub(crate) const WITHIN_LIMITS: &str = "a notification within the limits";

/// A key as a segment of a JSON pointer. A key that is a URL loses its credentials, as it would when it
/// is written.
pub(crate) fn escape(key: &str) -> String {
    Redact::Secrets.text(key).replace('~', "~0").replace('/', "~1")
}
