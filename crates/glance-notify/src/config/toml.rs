//! TOML as JSON's values, which is what everything here is configured with.

use notify_core::redact::printable;
use serde_json::{Map, Value};

/// The table that a text of TOML is; or where and why it is none, without quoting it: the text may
/// be a password.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let table: ::toml::Table = text.parse().map_err(|error: ::toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", printable(error.message(), 256))
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
}

/// A value of TOML; what is none is a string.
pub(crate) fn parse_value(text: &str) -> Value {
    text.parse().map_or_else(|_| text.into(), from_toml)
}

fn from_toml(value: ::toml::Value) -> Value {
    match value {
        ::toml::Value::String(text) => text.into(),
        ::toml::Value::Integer(number) => number.into(),
        ::toml::Value::Float(number) => number.into(),
        ::toml::Value::Boolean(value) => value.into(),
        ::toml::Value::Datetime(time) => time.to_string().into(),
        ::toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        ::toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, from_toml(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_of_toml_and_a_bare_word_a_string() {
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

    #[test]
    fn a_deep_table_is_refused_or_read_and_does_no_harm() {
        for text in
            [format!("{}x = 1", "a.".repeat(100_000)), "x = ".to_owned() + &"[".repeat(100_000)]
        {
            if let Ok(table) = parse(&text) {
                assert_eq!(table.len(), 1);
            }
        }
    }
}
