//! Tells lines that cannot hold a text from those that may, without decoding them: [`LineFilter`].
//!
//! It never excludes a line in which the decoder would find the text. It may pass lines that do not hold it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

/// Passes the lines that may hold one of some texts, and excludes the others without decoding them.
///
/// JSON can write a character as an escape, so a line with such an escape passes. An image may have the id of
/// another one as its name. From the first line on that names an image like one of the texts, every line
/// passes, because later events of that image have only its id.
///
/// Clones share this state.
///
/// # Examples
///
/// ```
/// use notify_core::codec::LineFilter;
///
/// let filter = LineFilter::new(["c80a1a6c-bd1f-41c5-90ee-81afedb1d58d"]).unwrap();
/// let lines = b"{\"id\":\"7290aba0-ea68-429f-a9ec-7df334e091e2\"}\n\
///               {\"id\":\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\"}\n";
/// assert_eq!(filter.excluded(lines), 46);
/// assert_eq!(filter.excluded(&lines[46..]), 0);
/// ```
#[derive(Clone)]
pub struct LineFilter(Arc<FilterState>);

/// The texts of a filter, and whether it still excludes lines.
struct FilterState {
    texts: Vec<Finder<'static>>,
    escape: Finder<'static>,
    passes_all: AtomicBool,
}

impl LineFilter {
    /// Creates a filter for lines that hold one of `texts`.
    ///
    /// Returns `None` if such a filter could exclude a line that it must not, or would not save work: without
    /// a text, with more than eight, and with a text that is shorter than eight characters or has one
    /// other than ASCII letters, digits, `.`, `_` and `-`.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut finders = Vec::new();
        for text in texts {
            let text = text.as_ref();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if text.len() < SHORTEST_TEXT || !text.bytes().all(is_plain) {
                return None;
            }
            finders.push(Finder::new(text).into_owned());
        }
        let is_useful = (1..=MOST_TEXTS).contains(&finders.len());
        is_useful.then(|| {
            let escape = Finder::new(ESCAPE);
            let passes_all = AtomicBool::new(false);
            Self(Arc::new(FilterState { texts: finders, escape, passes_all }))
        })
    }

    /// Returns the number of bytes of the whole lines at the start of `bytes` that hold none of the texts.
    ///
    /// `bytes` begins with a line. The last line counts only with its line end.
    pub fn excluded(&self, bytes: &[u8]) -> usize {
        let mut excluded = 0;
        loop {
            let rest = &bytes[excluded..];
            // Little at a time: a line that passes costs another search of these bytes.
            let block = &rest[..rest.len().min(BLOCK_BYTES)];
            let end = match memrchr(b'\n', block) {
                Some(end) => end + 1,
                None => match memchr(b'\n', rest) {
                    Some(end) => end + 1,
                    None => return excluded,
                },
            };
            let block = &rest[..end];
            match self.first_match(block) {
                None => excluded += end,
                Some(at) => {
                    let start = memrchr(b'\n', &block[..at]).map_or(0, |end| end + 1);
                    let end = memchr(b'\n', &block[at..]).map_or(end, |length| at + length);
                    self.learn(&block[start..end]);
                    return excluded + start;
                }
            }
        }
    }

    /// Returns `true` if a line may hold one of the texts.
    pub fn may_hold(&self, line: &[u8]) -> bool {
        let is_match = self.first_match(line).is_some();
        if is_match {
            self.learn(line);
        }
        is_match
    }

    /// Returns the place of the first text or escape in `bytes`. There is one in all bytes of a filter
    /// that passes every line.
    fn first_match(&self, bytes: &[u8]) -> Option<usize> {
        let state = &*self.0;
        if state.passes_all.load(Ordering::Relaxed) {
            return Some(0);
        }
        let mut first = state.escape.find(bytes);
        for text in &state.texts {
            first = text.find(&bytes[..first.unwrap_or(bytes.len())]).or(first);
        }
        first
    }

    /// Lets every line pass from now on, if this line has one of the texts as a name.
    fn learn(&self, line: &[u8]) {
        let state = &*self.0;
        let mut places = state.texts.iter().flat_map(|text| text.find_iter(line));
        if places.any(|at| is_name(&line[..at])) {
            state.passes_all.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns `true` if a text behind these bytes is the value of a name, as JSON or as JSON in a text.
fn is_name(before: &[u8]) -> bool {
    let is_between = |byte: &u8| b" \t\\\":".contains(byte);
    let end = before.iter().rposition(|byte| !is_between(byte)).map_or(0, |last| last + 1);
    before[..end].ends_with(b"name")
}

/// Compares the texts.
impl PartialEq for LineFilter {
    fn eq(&self, other: &Self) -> bool {
        let texts = |filter: &Self| -> Vec<Vec<u8>> {
            filter.0.texts.iter().map(|text| text.needle().to_vec()).collect()
        };
        texts(self) == texts(other)
    }
}

impl Eq for LineFilter {}

/// Shows the number of texts.
impl fmt::Debug for LineFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineFilter({} texts)", self.0.texts.len())
    }
}

/// The beginning of every escape of a character that a text may have.
const ESCAPE: &[u8] = b"\\u00";
/// The bytes that are searched at once, unless one line has more.
const BLOCK_BYTES: usize = 4096;
/// The number of characters from which on few other lines hold a text.
const SHORTEST_TEXT: usize = 8;
/// The most texts. Each costs a search of every line.
const MOST_TEXTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";

    /// Returns the lines that pass, and the bytes of an unfinished line.
    fn passing(filter: &LineFilter, text: &str) -> Vec<String> {
        let mut rest = text.as_bytes();
        let mut lines = Vec::new();
        loop {
            rest = &rest[filter.excluded(rest)..];
            let Some(end) = memchr(b'\n', rest) else { break };
            lines.push(String::from_utf8(rest[..end].to_vec()).unwrap());
            rest = &rest[end + 1..];
        }
        lines
    }

    /// Every line with a text or with an escape passes, wherever it stands among the others.
    #[test]
    fn passes_every_line_that_may_hold_a_text() {
        let filter = LineFilter::new([ID, "image.delete"]).unwrap();
        let other = format!("{{\"id\":\"{}\"}}", "0".repeat(100));
        for repetitions in [0, 1, 40, 41, 42, 100] {
            let others = format!("{other}\n").repeat(repetitions);
            let wanted = [
                format!("{{\"id\":\"{ID}\"}}"),
                "{\"event_type\":\"image.delete\"}".to_owned(),
                "{\"id\":\"\\u0063\"}".to_owned(),
                format!("{}{ID}{}", "x".repeat(3 * BLOCK_BYTES), "x".repeat(BLOCK_BYTES)),
                ID.to_owned(),
            ];
            let lines = wanted.iter().flat_map(|line| [others.as_str(), line, "\n"]);
            let text: String = lines.chain([others.as_str(), "unfinished"]).collect();
            assert_eq!(passing(&filter, &text), wanted);
        }
        assert_eq!(filter.excluded(b"no line end"), 0);
        assert!(filter.may_hold(ID.as_bytes()) && !filter.may_hold(other.as_bytes()));
    }

    /// An image with the name of a text has events that hold only its own id, so all lines pass from
    /// then on, also those of another source.
    #[test]
    fn passes_all_lines_after_a_name_that_is_a_text() {
        for named in [
            format!("{{\"name\": \"{ID}\"}}"),
            format!("{{\"ramdisk_id\": \"{ID}\", \"name\":\"{ID}\"}}"),
            format!("\\\"display_name\\\": \\\"{ID}\\\""),
        ] {
            let filter = LineFilter::new([ID]).unwrap();
            let clone = filter.clone();
            let text = format!("before\n{named}\nafter\n");
            assert_eq!(passing(&filter, &text), [named.as_str(), "after"]);
            assert_eq!(passing(&clone, "another\n"), ["another"]);
        }
    }

    /// A text that JSON could write in several ways, and one that most lines hold, make no filter.
    #[test]
    fn refuses_texts_that_say_too_little() {
        for text in ["", "short", "with a space", "with\"quote", "größer als", "a/b/c/d/e"] {
            assert_eq!(LineFilter::new([text]), None, "{text}");
        }
        assert_eq!(LineFilter::new::<&str>([]), None);
        assert_eq!(LineFilter::new([ID; 9]), None);
        assert_eq!(LineFilter::new([ID]), LineFilter::new([ID]));
        assert_eq!(format!("{:?}", LineFilter::new([ID])), "Some(LineFilter(1 texts))");
    }
}
