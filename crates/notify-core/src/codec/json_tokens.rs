//! The tokens of a JSON text that is known to be valid.
//!
//! Limits and redaction read payloads token by token. Nothing here recurses, so no nesting overflows a
//! stack, and no token is converted, so numbers keep every digit.

use std::borrow::Cow;

/// A token of JSON. Strings and keys keep their quotes and escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonToken<'a> {
    /// The begin of an object, or of a list if `false`.
    Open(bool),
    /// The end of an object or a list.
    Close,
    /// A key of an object.
    Key(&'a str),
    /// A string.
    Text(&'a str),
    /// A number, `true` or `false`.
    Scalar(&'a str),
    /// `null`.
    Null,
}

/// An iterator over the tokens of a valid JSON text. It ends early if the text is not valid.
#[derive(Clone, Debug)]
pub(crate) struct JsonTokens<'a> {
    rest: &'a str,
}

impl<'a> JsonTokens<'a> {
    /// Creates the tokens of `json`.
    pub(crate) fn new(json: &'a str) -> Self {
        Self { rest: json }
    }

    /// Skips one value: the next token, and everything inside it.
    pub(crate) fn skip_value(&mut self) {
        let mut depth = 0_usize;
        for token in self {
            match token {
                JsonToken::Open(_) => depth += 1,
                JsonToken::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && !matches!(token, JsonToken::Key(_)) {
                break;
            }
        }
    }

    /// Returns `length` bytes of the rest, and moves on behind them.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

impl<'a> Iterator for JsonTokens<'a> {
    type Item = JsonToken<'a>;

    #[inline]
    fn next(&mut self) -> Option<JsonToken<'a>> {
        let bytes = self.rest.as_bytes();
        let start = bytes
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':'))?;
        self.take(start);
        let bytes = self.rest.as_bytes();
        Some(match bytes[0] {
            b'{' => {
                self.take(1);
                JsonToken::Open(true)
            }
            b'[' => {
                self.take(1);
                JsonToken::Open(false)
            }
            b'}' | b']' => {
                self.take(1);
                JsonToken::Close
            }
            b'"' => {
                let text = self.take(string_length(bytes)?);
                let next = self.rest.bytes().find(|byte| !byte.is_ascii_whitespace());
                if next == Some(b':') { JsonToken::Key(text) } else { JsonToken::Text(text) }
            }
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let length = bytes.iter().position(ends).unwrap_or(bytes.len());
                match self.take(length) {
                    "null" => JsonToken::Null,
                    scalar => JsonToken::Scalar(scalar),
                }
            }
        })
    }
}

/// Returns the length of the string at the begin of `bytes`, with both quotes.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The text of a JSON string.
///
/// JSON can escape half of a surrogate pair, which is no character: Python writes a byte that is not UTF-8
/// so. A stand-in takes its place in the text, which [`surrogate`] turns back.
#[derive(Debug)]
pub(crate) struct UnescapedText<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether the text holds stand-ins.
    pub(crate) has_surrogates: bool,
}

/// Returns the text of a JSON string with its quotes.
pub(crate) fn unescape(string: &str) -> UnescapedText<'_> {
    let text = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if !text.contains('\\') {
        return UnescapedText { text: Cow::Borrowed(text), has_surrogates: false };
    }
    let mut out = String::with_capacity(text.len());
    let mut has_surrogates = false;
    // A real character that looks like a stand-in.
    let mut is_ambiguous = text.chars().any(|c| surrogate(c).is_some());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        out.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = take_unit(&mut rest);
                let c = char::from_u32(unit).or_else(|| take_pair(unit, &mut rest));
                is_ambiguous |= c.is_some_and(|c| surrogate(c).is_some());
                has_surrogates |= c.is_none();
                c.or_else(|| stand_in(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        });
    }
    out.push_str(rest);
    if has_surrogates && is_ambiguous {
        out = out.replace(|c| surrogate(c).is_some(), "\u{fffd}");
        has_surrogates = false;
    }
    UnescapedText { text: Cow::Owned(out), has_surrogates }
}

/// Returns the character that `high` and the escape at the front of `rest` make together, if they do.
fn take_pair(high: u32, rest: &mut &str) -> Option<char> {
    let mut after = rest.strip_prefix("\\u")?;
    let low = take_unit(&mut after);
    if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    *rest = after;
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

/// Takes four hexadecimal digits from the front of `rest`.
fn take_unit(rest: &mut &str) -> u32 {
    let (digits, after) = rest.split_at_checked(4).unwrap_or(("", ""));
    *rest = after;
    u32::from_str_radix(digits, 16).unwrap_or(0xfffd)
}

/// Returns the private character that stands for a lone surrogate.
fn stand_in(unit: u32) -> Option<char> {
    char::from_u32(unit.checked_sub(0xd800)? + FIRST_STAND_IN)
}

/// Returns the lone surrogate for which a character stands.
pub(crate) fn surrogate(c: char) -> Option<u32> {
    Some(u32::from(c).checked_sub(FIRST_STAND_IN)? + 0xd800)
}

/// The first of the last 2 048 characters of Unicode, which are for private use.
const FIRST_STAND_IN: u32 = 0x10_f800;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of token, with and without white space.
    #[test]
    fn reads_every_token() {
        use JsonToken::{Close, Key, Null, Open, Scalar, Text};
        let tokens: Vec<_> =
            JsonTokens::new(r#" {"a\"" : [1e2,-0.5 ,"x:" , null],"b":{"":true}} "#).collect();
        assert_eq!(
            tokens,
            [
                Open(true),
                Key(r#""a\"""#),
                Open(false),
                Scalar("1e2"),
                Scalar("-0.5"),
                Text("\"x:\""),
                Null,
                Close,
                Key("\"b\""),
                Open(true),
                Key("\"\""),
                Scalar("true"),
                Close,
                Close
            ]
        );
        let mut tokens = JsonTokens::new(r#"[[{"a":[1]},2],3]"#);
        tokens.next();
        tokens.skip_value();
        assert_eq!(tokens.next(), Some(Scalar("3")));
    }

    /// `serde_json` unescapes every string in the same way, and a lone surrogate has a stand-in.
    #[test]
    fn unescapes_as_serde_json_does() {
        for string in
            [r#""""#, r#""plain é""#, r#""\"\\\/\b\f\n\r\t\u0000\u00e9""#, r#""a\ud83d\uDDBCb""#]
        {
            assert_eq!(unescape(string).text, serde_json::from_str::<String>(string).unwrap());
        }
        let text = unescape(r#""caf\udce9 \ud800x""#).text;
        let units: Vec<_> = text.chars().filter_map(surrogate).collect();
        assert_eq!(units, [0xdce9, 0xd800]);
    }
}
