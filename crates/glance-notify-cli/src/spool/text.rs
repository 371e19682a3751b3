//! What is shown of a spool: times, and JSON that is harmless to a terminal.

use std::fmt::Write as _;
use std::io;

use glance_notify::codec::serde_json::Serializer;
use glance_notify::codec::serde_json::ser::{CompactFormatter, Formatter};
use glance_notify::time::OffsetDateTime;
use serde::Serialize;

/// A time to the second, as `2012-05-16T15:27:36Z`.
pub(super) fn second(time: OffsetDateTime) -> String {
    let (date, clock) = parts(time);
    format!("{date}T{clock}Z")
}

/// A time to the microsecond, as the timestamp of a notification has it.
pub(super) fn microsecond(time: OffsetDateTime) -> String {
    let (date, clock) = parts(time);
    format!("{date} {clock}.{:06}", time.microsecond())
}

fn parts(time: OffsetDateTime) -> (String, String) {
    let time = time.to_offset(glance_notify::time::UtcOffset::UTC);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let date = format!("{year:04}-{:02}-{day:02}", u8::from(month));
    (date, format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Writes `value` as one line of JSON in ASCII: what is behind an escape moves no cursor.
pub(super) fn json(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Ascii(CompactFormatter)))?;
    out.write_all(b"\n")
}

/// A message's body, which is one harmless line of JSON, laid out over lines for a person. Every
/// string and number stays as it is written.
pub(super) fn pretty(body: &str) -> String {
    let mut out = String::with_capacity(body.len() * 2);
    let mut depth = 0;
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
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
                let end = if c == '{' { '}' } else { ']' };
                if let Some(end) = chars.next_if_eq(&end) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' => {}
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Writes what is not ASCII behind escapes, and the one control of ASCII that JSON lets through.
struct Ascii(CompactFormatter);

impl Formatter for Ascii {
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

    #[test]
    fn json_is_ascii_and_reads_as_it_was() {
        let hostile: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        json(&mut out, &hostile).unwrap();
        let (end, line) = out.split_last().unwrap();
        assert_eq!(*end, b'\n');
        assert!(line.iter().all(|byte| *byte == b' ' || byte.is_ascii_graphic()));
        assert_eq!(serde_json::from_slice::<String>(line).unwrap(), hostile);
    }

    #[test]
    fn what_is_laid_out_is_the_same() {
        let body = r#"{"a":"x\u202e, {\"","b":[],"c":{"d":[1.50,true,null],"e":{}}}"#;
        let shown = pretty(body);
        assert_eq!(
            serde_json::from_str::<Value>(&shown).unwrap(),
            serde_json::from_str::<Value>(body).unwrap()
        );
        let expected = "{\n  \"a\": \"x\\u202e, {\\\"\",\n  \"b\": [],\n  \"c\": {\n    \"d\": [\n      \
                        1.50,\n      true,\n      null\n    ],\n    \"e\": {}\n  }\n}";
        assert_eq!(shown, expected);
    }

    #[test]
    fn times_are_in_utc() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(1_337_182_056_000_123_456).unwrap();
        let time = time.to_offset(glance_notify::time::UtcOffset::from_hms(5, 0, 0).unwrap());
        assert_eq!(second(time), "2012-05-16T15:27:36Z");
        assert_eq!(microsecond(time), "2012-05-16 15:27:36.000123");
    }
}
