//! The conversion of TOML to JSON values, the form in which all sources store their options.

use notify_core::redact::{Redact, printable};
use serde_json::{Map, Value};

/// Parses a TOML document.
///
/// # Errors
///
/// The line, the column and the reason. The message does not quote the text, which may contain a
/// password.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let table: ::toml::Table = text.parse().map_err(|error: ::toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", printable(error.message(), MESSAGE_CHARS))
    })?;
    match non_finite_entry(&table, "") {
        Some(key) => Err(format!(
            "`{}`: `inf` and `nan` are not supported: put a text in quotes",
            printable(&Redact::Secrets.text(&key), MESSAGE_CHARS)
        )),
        None => Ok(table.into_iter().map(|(key, value)| (key, json_value(value))).collect()),
    }
}

/// Parses `text` as a TOML value. Returns it as a string if it is not one, or if JSON has no such type.
pub(super) fn parse_value(text: &str) -> Value {
    match text.parse::<::toml::Value>() {
        Ok(value) if !value.is_datetime() && non_finite(&value, "").is_none() => json_value(value),
        _ => text.into(),
    }
}

/// Returns the dotted key of a number that JSON lacks: infinite, or not a number.
fn non_finite(value: &::toml::Value, path: &str) -> Option<String> {
    match value {
        ::toml::Value::Float(number) => (!number.is_finite()).then(|| path.to_owned()),
        ::toml::Value::Array(items) => items.iter().find_map(|item| non_finite(item, path)),
        ::toml::Value::Table(table) => non_finite_entry(table, path),
        _ => None,
    }
}

/// Returns the dotted key of such a number in a table.
fn non_finite_entry(table: &::toml::Table, path: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        non_finite(value, &path)
    })
}

/// Converts a value. A date or time becomes a string, because JSON has no such type.
fn json_value(value: ::toml::Value) -> Value {
    match value {
        ::toml::Value::String(text) => text.into(),
        ::toml::Value::Integer(number) => number.into(),
        ::toml::Value::Float(number) => number.into(),
        ::toml::Value::Boolean(value) => value.into(),
        ::toml::Value::Datetime(time) => time.to_string().into(),
        ::toml::Value::Array(items) => items.into_iter().map(json_value).collect(),
        ::toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json_value(value))).collect())
        }
    }
}

/// How much of the parser's message an error shows, in characters.
const MESSAGE_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators need not quote a file name in `--set` or in an environment variable.
    #[test]
    fn text_that_is_not_a_toml_value_is_a_string() {
        for (text, expected) in [
            ("true", "true"),
            ("12", "12"),
            ("0.5", "0.5"),
            ("[\"a\", 1]", "[\"a\",1]"),
            ("\"quoted\"", "\"quoted\""),
            ("word", "\"word\""),
            ("two words", "\"two words\""),
            ("amqp://h/%2F", "\"amqp://h/%2F\""),
            ("[half", "\"[half\""),
            ("a=b", "\"a=b\""),
            ("1\nstrategy = 2", "\"1\\nstrategy = 2\""),
            ("", "\"\""),
        ] {
            assert_eq!(parse_value(text).to_string(), expected, "{text}");
        }
    }

    /// Deep nesting ends in a table or an error, never in a stack overflow.
    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        for text in
            [format!("{}x = 1", "a.".repeat(100_000)), "x = ".to_owned() + &"[".repeat(100_000)]
        {
            if let Ok(table) = parse(&text) {
                assert_eq!(table.len(), 1);
            }
        }
    }
}
