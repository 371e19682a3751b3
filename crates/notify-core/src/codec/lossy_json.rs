//! JSON texts that hold values which Rust lacks, parsed nevertheless: [`parse_lossy`].
//!
//! The codec keeps every payload as the text that it was. This module is for answers that are made of its values,
//! and no encoder may use it.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::json_tokens::{JsonToken, JsonTokens};

/// Parses a JSON text, with a replacement character for each half of a surrogate pair, and the nearest number that
/// Rust holds for each number out of range. So neither hides the other values.
///
/// Returns `None` if the text is not JSON or has another shape.
#[doc(hidden)]
pub fn parse_lossy<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok().or_else(|| {
        let json: &RawValue = serde_json::from_slice(json).ok()?;
        serde_json::from_str(&with_values_of_rust(json.get())).ok()
    })
}

/// Returns a valid JSON text with other values in place of those that Rust lacks.
fn with_values_of_rust(json: &str) -> String {
    let mut tokens = JsonTokens::new(json);
    let (mut out, mut copied) = (String::with_capacity(json.len()), 0);
    while let Some(token) = tokens.next() {
        let (length, value) = match token {
            JsonToken::Key(text) | JsonToken::Text(text) => {
                (text.escaped.len() + 2, Value::from(text.unescape().lossy()))
            }
            JsonToken::Scalar(number) => match number.parse::<f64>() {
                Ok(infinite) if infinite.is_infinite() => {
                    (number.len(), Value::from(infinite.clamp(f64::MIN, f64::MAX)))
                }
                _ => continue,
            },
            _ => continue,
        };
        let end = tokens.offset();
        out.push_str(&json[copied..end - length]);
        out.push_str(&value.to_string());
        copied = end;
    }
    out.push_str(&json[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(json: &str) -> Option<Value> {
        parse_lossy(json.as_bytes())
    }

    /// Only the values that Rust lacks become others, and only JSON is parsed.
    #[test]
    fn replaces_the_values_that_rust_lacks() {
        let text = concat!(
            r#" {"k\ud800" : ["caf\udce9\n\"", 1e999,-1e999, 1e308 ,7,true,null, {}], "#,
            r#""\u0062": "\ud83d\uDDBC é"} "#,
        );
        let expected = json!({
            "k\u{fffd}": ["caf\u{fffd}\n\"", f64::MAX, f64::MIN, 1e308, 7, true, null, {}],
            "b": "🖼 é",
        });
        assert_eq!(parsed(text), Some(expected));
        assert_eq!(parsed(r#""\udce9""#), Some(json!("\u{fffd}")));
        assert_eq!(parsed(&"9".repeat(400)), Some(json!(f64::MAX)));
        for other in ["", "{", "NaN", "1e999 x", "\u{c}1e999", r#"["\ud800]"#] {
            assert_eq!(parsed(other), None, "{other}");
        }
        assert_eq!(parse_lossy::<String>(b"1e999"), None);
        assert_eq!(parse_lossy::<Value>(b"\"\xff\""), None);
    }
}
