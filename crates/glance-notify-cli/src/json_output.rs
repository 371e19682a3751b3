//! JSON as the command prints it: on one line, or indented over several.
//!
//! JSON here is pure ASCII: a payload may hold control characters and bidirectional
//! overrides, and an escape sequence in a JSON string cannot move a cursor.

use std::fmt::Write as _;
use std::io;

use glance_notify::codec::serde_json::Serializer;
use glance_notify::codec::serde_json::ser::{CompactFormatter, Formatter};
use serde::Serialize;

/// Writes `value` as one line of JSON in ASCII.
///
/// # Errors
///
/// Returns an error if the write fails.
pub fn write_json(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value
        .serialize(&mut Serializer::with_formatter(&mut *out, AsciiFormatter(CompactFormatter)))?;
    out.write_all(b"\n")
}

/// Returns a text of JSON with one member a line.
///
/// Copies strings and numbers as they are. Decoding and encoding them again could change an escape sequence,
/// the order of keys, or the digits of a number. A text that is no JSON comes out with odd line breaks and nothing else changed.
pub fn indented_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => {
                out.push(c);
                while let Some(c) = chars.next() {
                    out.push(c);
                    match c {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

/// Begins a line. Deep nesting is not indented further, because the sender chooses the depth.
fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(32)));
}

/// A formatter that writes every character except printable ASCII as `\uXXXX`.
///
/// DEL is the one control character of ASCII that JSON does not require to be escaped;
/// this formatter escapes it too.
struct AsciiFormatter(CompactFormatter);

impl Formatter for AsciiFormatter {
    /// Writes a part of a string that needs no escape by JSON's own rules.
    ///
    /// A character beyond the Basic Multilingual Plane becomes a surrogate pair.
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut escaped = String::with_capacity(fragment.len());
        for c in fragment.chars() {
            if c == ' ' || c.is_ascii_graphic() {
                escaped.push(c);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").map_err(io::Error::other)?;
            }
        }
        self.0.write_string_fragment(out, &escaped)
    }
}

#[cfg(test)]
mod tests {
    use glance_notify::codec::serde_json::{self, Value};

    use super::*;

    /// Every Unicode character survives the ASCII form.
    #[test]
    fn json_is_ascii_and_decodes_to_the_same_value() {
        let hostile: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        write_json(&mut out, &hostile).unwrap();
        let (end, line) = out.split_last().unwrap();
        assert_eq!(*end, b'\n');
        assert!(line.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic()));
        assert_eq!(serde_json::from_slice::<String>(line).unwrap(), hostile);
    }

    /// Indenting adds white space only, and none inside of strings.
    #[test]
    fn indented_json_decodes_to_the_same_value() {
        let body = r#"{"a":"x\u202e, {\"","b":[],"c":{"d":[1.50,true,null],"e":{}}}"#;
        let shown = indented_json(body);
        assert_eq!(
            serde_json::from_str::<Value>(&shown).unwrap(),
            serde_json::from_str::<Value>(body).unwrap()
        );
        let expected = "{\n  \"a\": \"x\\u202e, {\\\"\",\n  \"b\": [],\n  \"c\": {\n    \"d\": [\n      \
                        1.50,\n      true,\n      null\n    ],\n    \"e\": {}\n  }\n}";
        assert_eq!(shown, expected);
    }

    /// Numbers, escapes and the order of keys stay as the sender wrote them.
    #[test]
    fn tokens_stay_as_they_are() {
        let text = r#"{"b": 123456789012345678901234567890, "a":[1.0,{}, [ ] ],"s":"a\"{,:\\"}"#;
        let expected = "{\n  \"b\": 123456789012345678901234567890,\n  \"a\": [\n    1.0,\n    {},\n    []\n  ],\n  \"s\": \"a\\\"{,:\\\\\"\n}";
        assert_eq!(indented_json(text), expected);
    }

    /// Some kilobytes of brackets do not become megabytes of spaces.
    #[test]
    fn deep_nesting_stays_small() {
        let text = "[".repeat(10_000);
        assert!(indented_json(&text).len() < 100 * text.len());
    }
}
