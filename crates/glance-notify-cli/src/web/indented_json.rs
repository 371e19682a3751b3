//! JSON with line breaks: [`indented_json`].

/// Returns a text of JSON with one member a line. Every token stays as it is, so that large numbers and the order
/// of keys survive. A text that is no JSON comes out with odd line breaks and nothing else changed.
pub(super) fn indented_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(char::is_ascii_whitespace) {
                    chars.next();
                }
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

/// Begins a line. Deep nesting is not indented further: the depth is the sender's choice.
fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(32)));
}

#[cfg(test)]
mod tests {
    use super::*;

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
