//! The words of a warning: the value that a schema expects, and the kind of value that the line has.
//!
//! No function here repeats a value of the input, because it may be a secret.

use glance_notify::codec::serde_json::Value;

use super::pattern::matches;

/// Returns the words for the values that `schema` accepts: "a string or null".
///
/// `schema` must not be a reference: resolve it first. `resolve` resolves the references in it.
pub(super) fn expected<'a>(schema: &'a Value, resolve: &dyn Fn(&'a Value) -> &'a Value) -> String {
    if let Some(word) = schema.get("const") {
        return word.to_string();
    }
    if let Some(Value::Array(words)) = schema.get("enum") {
        return one_of(words.iter().map(Value::to_string));
    }
    if let Some(Value::Array(branches)) = schema.get("anyOf") {
        return one_of(branches.iter().map(|branch| expected(resolve(branch), resolve)));
    }
    if let Some(Value::Array(parts)) = schema.get("allOf") {
        return parts.first().map_or_else(String::new, |part| expected(resolve(part), resolve));
    }
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => return "any value".to_owned(),
    };
    one_of(types.iter().map(|name| of_type(name.as_str().unwrap_or_default(), schema)))
}

/// Returns the words for the values of one JSON type that `schema` accepts.
fn of_type(name: &str, schema: &Value) -> String {
    let keyword = |key: &str| schema.get(key).and_then(Value::as_str);
    let are_strings = |key: &str| schema.get(key).is_some_and(|items| items["type"] == "string");
    let words = match (name, keyword("format")) {
        ("string", Some("uuid")) => "a UUID with dashes",
        ("string", Some("ip")) => "an IP address",
        ("string", _) => match keyword("pattern") {
            Some(pattern) => return of_pattern(pattern),
            None => "a string",
        },
        ("integer", Some("uint64")) => "a whole number from 0 to 18446744073709551615",
        ("integer", _) => "a whole number",
        ("boolean", _) => "true or false",
        ("array", _) if are_strings("items") => "a list of strings",
        ("array", _) => "a list",
        ("object", _) if are_strings("additionalProperties") => "an object of strings",
        ("object", _) => "an object",
        (other, _) => other,
    };
    words.to_owned()
}

/// Returns the words for the strings that match `pattern`, with an example.
fn of_pattern(pattern: &str) -> String {
    match TIMES.iter().find(|time| matches(pattern, time) == Some(true)) {
        Some(time) => format!("a time such as {time}"),
        None => format!("a string that matches {pattern}"),
    }
}

/// Joins alternatives: `a, b or c`.
pub(super) fn one_of(alternatives: impl Iterator<Item = String>) -> String {
    let mut alternatives: Vec<_> = alternatives.collect();
    match (alternatives.pop(), alternatives.join(", ")) {
        (Some(last), rest) if rest.is_empty() => last,
        (Some(last), rest) => format!("{rest} or {last}"),
        (None, _) => "nothing".to_owned(),
    }
}

/// Returns the kind of a value that a schema refuses.
///
/// `has_type` is whether the schema accepts other values of the same type.
pub(super) fn found(value: &Value, has_type: bool) -> &'static str {
    match value {
        Value::String(_) if has_type => "another string",
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

/// The forms of time in a notification: in a payload, and of its timestamp.
const TIMES: [&str; 2] = ["2012-05-16T15:27:36Z", "2026-11-22 12:00:00.123456"];
