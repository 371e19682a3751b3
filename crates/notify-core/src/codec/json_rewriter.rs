//! Redaction of JSON that was read: one pass over its text, which writes it again.
//!
//! Everything but secrets comes out JSON-equal: numbers digit by digit, keys in their order, and half
//! surrogate pairs as the escapes that they were. The pass runs on a stack on the heap.

use super::json_tokens::{JsonToken, JsonTokens, UnescapedText, unescape};
use super::json_tree::PayloadPlace;
use super::json_writer::JsonWriter;
use crate::redact::policy::Redact;
use crate::redact::rules::{KeyRule, MASK};

/// Writes a valid JSON text that lies at `place` of a payload, redacted by the policy of `w`.
///
/// White space between tokens goes. Writing the output again changes nothing.
pub(crate) fn rewrite(json: &str, place: PayloadPlace, w: &mut JsonWriter) {
    let mut tokens = JsonTokens::new(json);
    let mut open: Vec<OpenContainer> = Vec::new();
    let mut next_place = place;
    while let Some(token) = tokens.next() {
        let hides = w.redact == Redact::Strict && !next_place.shows_scalars();
        let in_list = open.last().is_some_and(|value| !value.is_object);
        if in_list && token != JsonToken::Close {
            separate(&mut open, w);
        }
        match token {
            JsonToken::Open(is_object) => {
                w.bytes.push(if is_object { b'{' } else { b'[' });
                let place = if is_object { next_place } else { next_place.in_list() };
                open.push(OpenContainer { place, is_object, is_empty: true });
            }
            JsonToken::Close => {
                let is_object = open.pop().is_some_and(|value| value.is_object);
                w.bytes.push(if is_object { b'}' } else { b']' });
            }
            JsonToken::Key(string) => {
                let key = unescape(string);
                let rule = w.redact.key(&key.text);
                let is_null = || tokens.clone().next() == Some(JsonToken::Null);
                if rule == KeyRule::Remove {
                    tokens.skip_value();
                    continue;
                }
                separate(&mut open, w);
                write_text(&key, w);
                w.bytes.push(b':');
                if rule == KeyRule::Mask && !is_null() {
                    w.string(MASK);
                    tokens.skip_value();
                }
                let place = open.last().map_or(place, |value| value.place);
                next_place = place.below(&key.text);
                continue;
            }
            JsonToken::Text(_) | JsonToken::Scalar(_) if hides => w.string(MASK),
            JsonToken::Text(string) => write_text(&unescape(string), w),
            JsonToken::Scalar(scalar) => w.raw(scalar),
            JsonToken::Null => w.raw("null"),
        }
        // The next item of a list lies where this one did. In an object, a key comes first.
        next_place = open.last().map_or(place, |value| value.place);
    }
}

/// An object or a list whose end the pass has not reached.
struct OpenContainer {
    /// The place of the object, or of the list's items.
    place: PayloadPlace,
    is_object: bool,
    /// Whether the pass has written nothing inside it yet.
    is_empty: bool,
}

/// Writes the comma in front of an entry, unless it is the first.
fn separate(open: &mut [OpenContainer], w: &mut JsonWriter) {
    if let Some(value) = open.last_mut() {
        if !value.is_empty {
            w.bytes.push(b',');
        }
        value.is_empty = false;
    }
}

/// Writes a string without the credentials of URLs.
fn write_text(unescaped: &UnescapedText<'_>, w: &mut JsonWriter) {
    let text = w.redact.text(&unescaped.text);
    if unescaped.has_surrogates {
        w.string_with_surrogates(&text);
    } else {
        w.string(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewrites a text outside of any task.
    fn rewritten(json: &str, redact: Redact) -> String {
        let mut w = JsonWriter { redact, ..JsonWriter::default() };
        rewrite(json, PayloadPlace::Elsewhere, &mut w);
        String::from_utf8(w.bytes).unwrap()
    }

    /// Numbers, order, odd shapes and lone surrogates come out as they were.
    #[test]
    fn keeps_everything_but_secrets() {
        for json in [
            "1e2",
            "-0.0",
            "1234567890123456789012345678901234567890.50",
            r#"{"b":1E400,"a":[{},[],"",{"":null}],"c":true}"#,
            r#""caf\udce9 \ud800x \udbff\ud800""#,
            "\"\u{10f8ff}\"",
            r#"{"\ud800":"\udfff"}"#,
        ] {
            assert_eq!(rewritten(json, Redact::Secrets), json);
            assert_eq!(rewritten(&format!(" {json}\n"), Redact::Off), json);
        }
    }

    /// Escapes hide no key from the rules and no URL, and the second pass changes nothing.
    #[test]
    fn removes_and_masks_secrets_behind_escapes() {
        let json = r#"{ "pass\u0077ord": [1, {"x": 2}], "\u006cocation": {"a": ["S3"]}, "token": null,
            "t": "https:\/\/u:S3\u0040h/\u202e", "https://u:S3@h": 1, "l": [1, "a"] }"#;
        let once = rewritten(json, Redact::Secrets);
        assert_eq!(
            once,
            r#"{"password":"***","token":null,"t":"https://***@h/\u202e","https://***@h":1,"l":[1,"a"]}"#
        );
        assert_eq!(rewritten(&once, Redact::Secrets), once);
    }

    /// A lone surrogate inside a password does not split it.
    #[test]
    fn masks_a_password_with_a_lone_surrogate() {
        let once = rewritten(r#""at https://u:S\udce93@h/ and \udce9""#, Redact::Secrets);
        assert_eq!(once, r#""at https://***@h/ and \udce9""#);
    }

    /// The strict policy masks numbers and strings of a task's input, also in lists and deeper objects.
    #[test]
    fn strict_shows_only_the_image_name_and_formats() {
        let json = r#"{"task_input":{"import_from":"http://plain","import_from_format":"qcow2","retries":3,"none":null,"image_properties":{"name":"n","disk_format":"raw","note":"x","deep":{"name":"y"}},"list":["a",{"name":"b"}]},"message":"m"}"#;
        let mut w = JsonWriter { redact: Redact::Strict, ..JsonWriter::default() };
        rewrite(json, PayloadPlace::Task, &mut w);
        assert_eq!(
            String::from_utf8(w.bytes).unwrap(),
            r#"{"task_input":{"import_from":"***","import_from_format":"qcow2","retries":"***","none":null,"image_properties":{"name":"n","disk_format":"raw","note":"***","deep":{"name":"***"}},"list":["***",{"name":"***"}]},"message":"m"}"#
        );
    }
}
