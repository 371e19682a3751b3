//! Scans of short texts, eight bytes at a time.
//!
//! Most strings of a notification have some ten bytes. For those, one multiplication-free test of a whole
//! word is quicker than a search that first chooses an instruction set.

/// The properties of a text that decide how much work it is to write it.
pub(crate) struct TextScan {
    /// Whether no byte needs escaping in JSON or on a terminal: all are printable ASCII, and none is a
    /// quote or a backslash.
    pub(crate) is_plain: bool,
    pub(crate) has_colon: bool,
}

/// Looks at each byte of a text.
#[inline]
pub(crate) fn scan(text: &[u8]) -> TextScan {
    let (mut odd, mut colon) = (0, 0);
    for_each_word(text, |word| {
        // Above ASCII, DEL, controls, and the two characters that JSON escapes.
        odd |= word | word.wrapping_add(ONES) | below(word, b' ');
        odd |= equal(word, b'"') | equal(word, b'\\');
        colon |= equal(word, b':');
    });
    TextScan { is_plain: odd & HIGH == 0, has_colon: colon & HIGH != 0 }
}

/// Returns `true` if `text` contains the byte of ASCII.
#[inline]
pub(crate) fn contains(text: &[u8], byte: u8) -> bool {
    let mut found = 0;
    for_each_word(text, |word| found |= equal(word, byte));
    found & HIGH != 0
}

/// Returns the position of the first quote or backslash in `text`.
#[inline]
pub(crate) fn find_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = text.get(at..)?.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let found = (equal(word, b'"') | equal(word, b'\\')) & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = text[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'));
    rest.map(|position| at + position)
}

/// Calls `look` with each word of a text. A short text is one word, filled up with copies of its first byte.
#[inline]
pub(crate) fn for_each_word(text: &[u8], mut look: impl FnMut(u64)) {
    // The last word overlaps the one before it.
    let Some(last) = text.last_chunk() else {
        let Some(first) = text.first() else { return };
        let fill = ONES * u64::from(*first);
        return look(text.iter().fold(fill, |word, byte| word << 8 | u64::from(*byte)));
    };
    text.as_chunks().0.iter().for_each(|word| look(u64::from_le_bytes(*word)));
    look(u64::from_le_bytes(*last));
}

/// Sets the high bit of each byte that is below `limit`, and perhaps of bytes above such a byte.
#[inline]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word
}

/// Sets the high bit of each byte that equals `byte`, and perhaps of bytes above such a byte.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place of texts of several lengths gives the same as a look at each byte alone.
    #[test]
    fn agrees_with_a_look_at_each_byte() {
        let odd = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
        for length in 0..20 {
            for at in 0..length {
                for (byte, other) in (0..=u8::MAX).flat_map(|byte| [(byte, b'a'), (byte, byte)]) {
                    let mut text = vec![b'a'; length];
                    text[at..].fill(other);
                    text[at] = byte;
                    let scan = scan(&text);
                    assert_eq!(scan.is_plain, !text.iter().any(odd), "{text:?}");
                    assert_eq!(scan.has_colon, text.contains(&b':'), "{text:?}");
                    assert_eq!(contains(&text, b'/'), text.contains(&b'/'), "{text:?}");
                    let quote = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                    assert_eq!(find_quote(&text), quote, "{text:?}");
                }
            }
        }
    }
}
