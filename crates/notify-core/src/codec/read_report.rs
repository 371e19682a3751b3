//! The report of reading one notification: its problems, and whether its shape is foreign.

use serde_json::Value;

use super::problem::Problem;

/// The problems of one notification, and whether its shape is foreign.
#[derive(Debug, Default)]
pub(crate) struct ReadReport {
    /// The problems so far, in the order of reading.
    pub(crate) problems: Vec<Problem>,
    /// Whether the typed form cannot hold the payload, or would write it differently.
    pub(crate) foreign: bool,
}

impl ReadReport {
    /// Adds a problem at `pointer`.
    pub(crate) fn problem(&mut self, pointer: String, expected: &str, found: impl Into<String>) {
        self.problems.push(Problem { pointer, expected: expected.to_owned(), found: found.into() });
    }
}

/// Returns the type of a value in the words of a problem.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_u64() => "a whole number",
        Value::Number(number) if number.is_i64() => "a negative number",
        Value::Number(_) => "a floating-point number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
