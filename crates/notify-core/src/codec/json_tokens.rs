//! The tokens of a JSON text that is known to be valid.
//!
//! Limits and redaction read payloads token by token. Nothing here recurses, so no nesting overflows a
//! stack, and no token is converted, so numbers keep every digit.

use std::borrow::Cow;

use super::byte_scan::{contains, find_quote};

/// A token of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonToken<'a> {
    /// The begin of an object, or of a list if `false`.
    Open(bool),
    /// The end of an object, or of a list if `false`.
    Close(bool),
    /// A key of an object.
    Key(JsonText<'a>),
    /// A string.
    Text(JsonText<'a>),
    /// A number, `true` or `false`.
    Scalar(&'a str),
    /// `null`.
    Null,
}

/// A string as it is in the JSON text: with its escapes, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonText<'a> {
    pub(crate) escaped: &'a str,
    /// Whether it contains a backslash.
    has_escapes: bool,
}

impl<'a> JsonText<'a> {
    /// Returns the text of a valid JSON value, if it is a string.
    pub(crate) fn of_value(json: &'a str) -> Option<Self> {
        let escaped = json.strip_prefix('"')?.strip_suffix('"')?;
        Some(Self { escaped, has_escapes: contains(escaped.as_bytes(), b'\\') })
    }

    /// Returns a text that has no escapes.
    pub(crate) fn unescaped(text: &'a str) -> Self {
        Self { escaped: text, has_escapes: false }
    }

    /// Returns the text without escapes.
    #[inline]
    pub(crate) fn unescape(self) -> UnescapedText<'a> {
        if self.has_escapes {
            unescape(self.escaped)
        } else {
            UnescapedText { text: Cow::Borrowed(self.escaped), has_surrogates: false }
        }
    }
}

/// An iterator over the tokens of a valid JSON text. It ends early if the text is not valid.
#[derive(Clone, Debug)]
pub(crate) struct JsonTokens<'a> {
    json: &'a str,
    /// The start of the next token, or of separators in front of it.
    at: usize,
}

impl<'a> JsonTokens<'a> {
    /// Creates the tokens of `json`.
    pub(crate) fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// Returns the offset of the end of the last token.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Skips white space, commas and colons, and returns the first byte behind them.
    #[inline]
    fn skip_separators(&mut self) -> Option<u8> {
        loop {
            match *self.json.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Returns the string at the next byte, a quote.
    #[inline]
    fn string(&mut self) -> Option<JsonText<'a>> {
        let bytes = self.json.as_bytes();
        let start = self.at + 1;
        let (mut end, mut has_escapes) = (start, false);
        loop {
            end += find_quote(bytes.get(end..)?)?;
            if bytes[end] == b'"' {
                break;
            }
            has_escapes = true;
            end += 2;
        }
        self.at = end + 1;
        Some(JsonText { escaped: self.json.get(start..end)?, has_escapes })
    }
}

impl<'a> Iterator for JsonTokens<'a> {
    type Item = JsonToken<'a>;

    #[expect(clippy::inline_always, reason = "the loops then keep tokens in registers")]
    #[inline(always)]
    fn next(&mut self) -> Option<JsonToken<'a>> {
        let bytes = self.json.as_bytes();
        match self.skip_separators()? {
            open @ (b'{' | b'[') => {
                self.at += 1;
                Some(JsonToken::Open(open == b'{'))
            }
            close @ (b'}' | b']') => {
                self.at += 1;
                Some(JsonToken::Close(close == b'}'))
            }
            b'"' => {
                let text = self.string()?;
                let next = bytes[self.at..].iter().find(|byte| !byte.is_ascii_whitespace());
                Some(if next == Some(&b':') { JsonToken::Key(text) } else { JsonToken::Text(text) })
            }
            _ => {
                let start = self.at;
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let length = bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start);
                self.at += length;
                match self.json.get(start..self.at)? {
                    "null" => Some(JsonToken::Null),
                    scalar => Some(JsonToken::Scalar(scalar)),
                }
            }
        }
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

impl<'a> UnescapedText<'a> {
    /// Returns the text with a replacement character for each half of a surrogate pair.
    #[inline]
    pub(crate) fn lossy(self) -> Cow<'a, str> {
        if self.has_surrogates {
            return replace_surrogates(&self.text).into();
        }
        self.text
    }
}

/// Returns a text with a replacement character for each stand-in.
#[cold]
fn replace_surrogates(text: &str) -> String {
    text.replace(|c| surrogate(c).is_some(), "\u{fffd}")
}

/// Returns the text of a JSON string that has escapes.
fn unescape(text: &str) -> UnescapedText<'_> {
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
    let unescaped = UnescapedText { text: Cow::Owned(out), has_surrogates };
    if has_surrogates && is_ambiguous {
        return UnescapedText { text: unescaped.lossy(), has_surrogates: false };
    }
    unescaped
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
        use JsonToken::{Close, Null, Open, Scalar};
        let text = |json: &'static str| JsonText::of_value(json).unwrap();
        let (key, text) = (|json| JsonToken::Key(text(json)), |json| JsonToken::Text(text(json)));
        let tokens: Vec<_> =
            JsonTokens::new(r#" {"a\"" : [1e2,-0.5 ,"x:" , null],"b":{"":true}} "#).collect();
        assert_eq!(
            tokens,
            [
                Open(true),
                key(r#""a\"""#),
                Open(false),
                Scalar("1e2"),
                Scalar("-0.5"),
                text(r#""x:""#),
                Null,
                Close(false),
                key(r#""b""#),
                Open(true),
                key(r#""""#),
                Scalar("true"),
                Close(true),
                Close(true)
            ]
        );
    }

    /// `serde_json` unescapes every string in the same way, and a lone surrogate has a stand-in.
    #[test]
    fn unescapes_as_serde_json_does() {
        for string in ["", "plain é", r#"\"\\\/\b\f\n\r\t\u0000\u00e9"#, r"a\ud83d\uDDBCb"] {
            let json = format!("\"{string}\"");
            let text: String = serde_json::from_str(&json).unwrap();
            assert_eq!(JsonText::of_value(&json).unwrap().unescape().text, text);
        }
        let text = unescape(r"caf\udce9 \ud800x").text;
        let units: Vec<_> = text.chars().filter_map(surrogate).collect();
        assert_eq!(units, [0xdce9, 0xd800]);
    }
}
