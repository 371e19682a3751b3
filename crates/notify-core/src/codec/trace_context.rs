//! The grammar of [W3C Trace Context](https://www.w3.org/TR/trace-context/): `traceparent` and
//! `tracestate`.
//!
//! It only checks. It starts no trace and changes none.

/// Checks a `traceparent` (section 3.2): `VERSION-TRACE_ID-PARENT_ID-FLAGS` in lower-case hexadecimal.
///
/// Later versions may append more, behind another dash.
///
/// # Errors
///
/// The rule that the text breaks.
pub(super) fn check_traceparent(text: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "`traceparent` is not valid: expected VERSION-TRACE_ID-PARENT_ID-FLAGS in \
                            lower-case hexadecimal digits, as W3C Trace Context defines it";
    let bytes = text.as_bytes();
    let mut rest = bytes;
    for (index, digits) in [2, 32, 16, 2].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b"-").ok_or(EXPECTED)?;
        }
        let (field, after) = rest.split_at_checked(digits).ok_or(EXPECTED)?;
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_reserved = match index {
            0 => field == b"ff",
            3 => false,
            _ => field.iter().all(|byte| *byte == b'0'),
        };
        if is_reserved || !field.iter().all(is_hex) {
            return Err(EXPECTED);
        }
        rest = after;
    }
    let is_extended = !bytes.starts_with(b"00")
        && rest.starts_with(b"-")
        && bytes.len() <= MAX_TRACEPARENT_BYTES
        && rest.iter().all(u8::is_ascii_graphic);
    if rest.is_empty() || is_extended { Ok(()) } else { Err(EXPECTED) }
}

/// Checks a `tracestate` (section 3.3): at most 32 pairs `KEY=VALUE` with distinct keys, separated by
/// commas.
///
/// # Errors
///
/// The rule that the text breaks.
pub(super) fn check_tracestate(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_TRACESTATE_BYTES {
        return Err("`tracestate` has more than 1024 bytes");
    }
    let mut keys = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        // The grammar allows empty members.
        if member.is_empty() {
            continue;
        }
        let pair = member.split_once('=').filter(|(key, value)| is_key(key) && is_value(value));
        let Some((key, _)) = pair else {
            return Err(
                "`tracestate` is not valid: expected pairs KEY=VALUE, separated by commas, as \
                        W3C Trace Context defines it",
            );
        };
        if keys.contains(&key) {
            return Err("`tracestate` has a key twice");
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err("`tracestate` has no pair KEY=VALUE"),
        1..=MAX_MEMBERS => Ok(()),
        _ => Err("`tracestate` has more than 32 pairs"),
    }
}

/// Returns whether a text is a key: `vendor`, or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let is_lower = |byte: u8| byte.is_ascii_lowercase();
    let is_name = |name: &str, max: usize, may_begin: fn(u8) -> bool| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(may_begin)
            && name.len() <= max
            && bytes.all(|byte| is_lower(byte) || byte.is_ascii_digit() || b"_-*/".contains(&byte))
    };
    match key.split_once('@') {
        None => is_name(key, 256, |byte| byte.is_ascii_lowercase()),
        Some((tenant, vendor)) => {
            is_name(tenant, 241, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && is_name(vendor, 14, |byte| byte.is_ascii_lowercase())
        }
    }
}

/// Returns whether a text is a value: printable ASCII without `,` and `=`. The caller has cut the spaces
/// at its end.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b",=".contains(&byte))
}

/// The longest `traceparent` of a later version, in bytes.
const MAX_TRACEPARENT_BYTES: usize = 255;
/// The longest `tracestate`, in bytes. The standard asks for at least 512.
const MAX_TRACESTATE_BYTES: usize = 1024;
/// The largest number of pairs in a `tracestate`.
const MAX_MEMBERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the standard, later versions, and every way to miss the grammar.
    #[test]
    fn checks_the_grammar_of_traceparent() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(check_traceparent(valid), Ok(()));
        assert_eq!(check_traceparent(&format!("cc{}-what-follows", &valid[2..])), Ok(()));
        let zero_trace = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let zero_parent = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        for wrong in [
            "",
            &valid[1..],
            &valid[..54],
            &valid.to_uppercase(),
            &format!("{valid}-01"),
            &format!("ff{}", &valid[2..]),
            &format!("cc{}.more", &valid[2..]),
            &format!("cc{}-{}", &valid[2..], "x".repeat(255)),
            &format!("cc{}-a\n", &valid[2..]),
            &valid.replace('-', "_"),
            zero_trace,
            zero_parent,
        ] {
            assert!(check_traceparent(wrong).is_err(), "{wrong}");
        }
        for cut in 0..valid.len() {
            assert!(check_traceparent(&valid[..cut]).is_err(), "{cut}");
        }
    }

    /// The examples of the standard, its limits, and every way to miss the grammar.
    #[test]
    fn checks_the_grammar_of_tracestate() {
        let pairs =
            |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        let tenant = format!("{}@{}=1", "1".repeat(241), "v".repeat(14));
        for valid in [
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
            "rojo=00f067aa0ba902b7, \t, congo=ucfJifl5GOE ",
            "fw529a3039@dt=FfAAAAAAAAAAAAAAAAAAAQ",
            "a_-*/=!<>~ x",
            &pairs(32),
            &tenant,
            &format!("{}={}", "k".repeat(256), "v".repeat(256)),
        ] {
            assert_eq!(check_tracestate(valid), Ok(()), "{valid}");
        }
        for wrong in [
            "",
            " , ",
            "a",
            "a=",
            "=1",
            "A=1",
            "1a=1",
            "a=1=2",
            "a=\u{e9}",
            "a=1\nb=2",
            "a=1,a=2",
            "@dt=1",
            "t@=1",
            "t@1=1",
            "a b=1",
            &pairs(33),
            &format!("{}=1", "k".repeat(257)),
            &format!("a={}", "v".repeat(257)),
            &format!("1{tenant}"),
            &(0..5).map(|n| format!("k{n}={}", "v".repeat(256))).collect::<Vec<_>>().join(","),
        ] {
            assert!(check_tracestate(wrong).is_err(), "{wrong}");
        }
    }
}
