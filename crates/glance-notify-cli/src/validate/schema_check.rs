//! A value compared with a JSON Schema: each refusal becomes one problem at its JSON pointer.
//!
//! The check knows the keywords that [`json_schema`](glance_notify::event::json_schema) uses, and
//! the format `uuid`. It ignores annotations and other formats. A library for all of JSON Schema
//! would make the command half as large again. The tests compare the check with such a library.

use glance_notify::codec::Problem;
use glance_notify::codec::serde_json::{Map, Value};
use glance_notify::config::Redact;
use glance_notify::transport::printable;
use glance_notify::uuid::Uuid;

use super::expectation::{expected, found};
use super::pattern::matches;

/// A check of values against the schemas of one document.
pub(super) struct SchemaCheck<'a> {
    /// The document, with the definitions to which its schemas refer.
    document: &'a Value,
    /// The problems so far, at most one at each pointer.
    problems: Vec<Problem>,
}

impl<'a> SchemaCheck<'a> {
    /// Creates a check without problems.
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, problems: Vec::new() }
    }

    /// Adds the problem of the value at `pointer`, unless it has one already.
    pub(super) fn add(&mut self, problem: Problem) {
        if !self.problems.iter().any(|other| other.pointer == problem.pointer) {
            self.problems.push(problem);
        }
    }

    /// Returns the problems in the order in which the check found them.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Compares `value`, which lies at `pointer`, with a schema of the document.
    pub(super) fn check(&mut self, schema: &'a Value, value: &Value, pointer: &str) {
        let schema = self.resolve(schema);
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            for part in parts {
                self.check(part, value, pointer);
            }
        }
        if let Some(Value::Array(branches)) = schema.get("anyOf") {
            self.check_branches(schema, branches, value, pointer);
        }
        let has_type = has_type(schema, value);
        if !has_type || !has_accepted_content(schema, value) {
            self.refuse(schema, found(value, has_type), pointer.to_owned());
            return;
        }
        match value {
            Value::Object(map) => self.check_object(schema, map, pointer),
            Value::Array(items) => {
                let Some(schema) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.check(schema, item, &format!("{pointer}/{index}"));
                }
            }
            _ => {}
        }
    }

    /// Compares a value with alternatives, and adds the problems of the closest one.
    ///
    /// An alternative for another type of value is not close. If all of them are of that kind, the value
    /// itself is the problem.
    fn check_branches(
        &mut self,
        schema: &'a Value,
        branches: &'a [Value],
        value: &Value,
        pointer: &str,
    ) {
        let problems_of = |branch| {
            let mut check = Self::new(self.document);
            check.check(branch, value, pointer);
            check.problems
        };
        let closest = branches
            .iter()
            .map(problems_of)
            .filter(|problems| problems.iter().all(|problem| problem.pointer != pointer))
            .min_by_key(Vec::len);
        match closest {
            Some(problems) => problems.into_iter().for_each(|problem| self.add(problem)),
            None => self.refuse(schema, found(value, false), pointer.to_owned()),
        }
    }

    /// Compares the keys of an object and their values with a schema.
    fn check_object(&mut self, schema: &'a Value, map: &Map<String, Value>, pointer: &str) {
        let known = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !map.contains_key(key) {
                let is_unknown = |key: &str| known.is_none_or(|known| !known.contains_key(key));
                let similar = map.keys().find(|other| is_unknown(other) && is_similar(key, other));
                let found = similar.map_or_else(|| NOTHING.to_owned(), |other| only_similar(other));
                let property = known.and_then(|known| known.get(key)).unwrap_or(&Value::Null);
                self.refuse(property, &found, format!("{pointer}/{}", escape(key)));
            }
        }
        for (key, value) in map {
            let pointer = || format!("{pointer}/{}", escape(key));
            match (known.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(property), _) => self.check(property, value, &pointer()),
                (None, Some(Value::Bool(false))) => self.add(Problem {
                    pointer: pointer(),
                    expected: "only documented keys".to_owned(),
                    found: format!("the unknown key `{}`", shown(key)),
                }),
                (None, Some(other)) => self.check(other, value, &pointer()),
                (None, None) => {}
            }
        }
    }

    /// Adds the problem that `schema` does not accept `found`.
    fn refuse(&mut self, schema: &'a Value, found: &str, pointer: String) {
        let document = self.document;
        let expected = expected(resolve(document, schema), &|schema| resolve(document, schema));
        self.add(Problem { pointer, expected, found: found.to_owned() });
    }

    /// Returns the schema to which `schema` refers, or itself.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        resolve(self.document, schema)
    }
}

/// Returns the schema to which `schema` refers within `document`, or itself.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    let pointer = target.and_then(|target| target.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// Returns whether a value has one of the types in a schema. A schema without types accepts all.
fn has_type(schema: &Value, value: &Value) -> bool {
    let is = |name: &Value| match (name.as_str().unwrap_or_default(), value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_))
        | ("string", Value::String(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        ("integer", Value::Number(number)) => {
            number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    };
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is),
        Some(name) => is(name),
        None => true,
    }
}

/// Returns whether a schema accepts a value of the right type for its content.
fn has_accepted_content(schema: &Value, value: &Value) -> bool {
    let keyword = |key| schema.get(key);
    let text_matches = match (keyword("pattern"), value) {
        (Some(Value::String(pattern)), Value::String(text)) => matches(pattern, text),
        _ => None,
    };
    let is_large_enough = match (keyword("minimum").and_then(Value::as_f64), value.as_f64()) {
        (Some(minimum), Some(number)) => number >= minimum,
        _ => true,
    };
    let has_format = match (keyword("format").and_then(Value::as_str), value) {
        (Some("uuid"), Value::String(text)) => is_uuid(text),
        _ => true,
    };
    let words = keyword("enum").and_then(Value::as_array);
    keyword("const").is_none_or(|word| word == value)
        && words.is_none_or(|words| words.contains(value))
        && text_matches.unwrap_or(true)
        && is_large_enough
        && has_format
}

/// Returns whether a text is a UUID with dashes, in upper or lower case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.parse::<Uuid>().is_ok()
}

/// Returns whether `other` looks like a misspelt `key`: at most two letters differ.
fn is_similar(key: &str, other: &str) -> bool {
    if key.len() < MIN_SIMILAR_CHARS || key.len().abs_diff(other.len()) > MAX_DISTANCE {
        return false;
    }
    // The distance of Levenshtein, row by row.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (deleted, letter) in key.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = deleted + 1;
        for (index, other_letter) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other_letter);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[other.len()] <= MAX_DISTANCE
}

/// Returns the finding that a key is missing, and that `other` may be its misspelt form.
fn only_similar(other: &str) -> String {
    format!("{NOTHING} but the similar key `{}`", shown(other))
}

/// Escapes a key as a segment of a JSON pointer. A key that is a URL loses its credentials.
fn escape(key: &str) -> String {
    Redact::Secrets.text(key).replace('~', "~0").replace('/', "~1")
}

/// Returns a key as messages show it: escaped, short and without the credentials of a URL.
fn shown(key: &str) -> String {
    printable(&Redact::Secrets.text(key), 64).to_string()
}

/// The finding of a [`Problem`] that prints "missing".
const NOTHING: &str = "nothing";

/// The length of the shortest key that can be misspelt: short keys are all similar.
const MIN_SIMILAR_CHARS: usize = 5;

/// The largest number of letters that differ between similar keys.
const MAX_DISTANCE: usize = 2;
