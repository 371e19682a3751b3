//! The lines of one batch in one buffer, and how they reach a file whole.

use std::io::{self, Write};

use notify_core::Message;

/// The lines of one batch, ready to be written with one call.
///
/// The first byte is a line end too, so every line can be written with or without a line end before
/// it: the way to start on a new line after somebody's cut one costs no copy.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Where each line ends, behind its line end.
    ends: Vec<usize>,
}

/// How far [`Lines::append`] came.
pub(crate) struct Appended {
    /// So many lines, from the first, are whole.
    pub(crate) lines: usize,
    /// Why it stopped before the last.
    pub(crate) stopped: Option<io::Error>,
}

impl Lines {
    /// Replaces what is held by the bodies of `messages`, a line each.
    pub(crate) fn fill(&mut self, messages: &[Message]) {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.push(b'\n');
        for message in messages {
            self.bytes.extend_from_slice(message.body());
            self.bytes.push(b'\n');
            self.ends.push(self.bytes.len());
        }
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// All lines, with a line end before the first if `start_anew`.
    pub(crate) fn bytes(&self, start_anew: bool) -> &[u8] {
        &self.bytes[usize::from(!start_anew)..]
    }

    /// Writes all lines with one call where the file takes them.
    ///
    /// Where it takes less, the cut line is written again whole on a line of its own: somebody else
    /// may have appended behind the cut. Two calls in a row that complete no line are the end: a file
    /// that takes only crumbs must not be filled with them.
    pub(crate) fn append(&self, to: &mut impl Write, start_anew: bool) -> Appended {
        let mut at = usize::from(!start_anew);
        let mut lines = 0;
        let mut crumbs = false;
        loop {
            let end = match to.write(&self.bytes[at..]) {
                Ok(0) => break Appended::up_to(lines, io::ErrorKind::WriteZero.into()),
                Ok(written) => at + written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Appended::up_to(lines, error),
            };
            if end >= self.bytes.len() {
                break Appended { lines: self.count(), stopped: None };
            }
            let whole = self.ends.partition_point(|&line_end| line_end <= end);
            if whole == lines && crumbs {
                break Appended::up_to(lines, io::ErrorKind::WriteZero.into());
            }
            crumbs = whole == lines;
            lines = whole;
            at = self.resume(whole, end);
        }
    }

    /// Where to go on after a call that ended at `end`, inside line `cut` or right before it.
    fn resume(&self, cut: usize, end: usize) -> usize {
        let start = cut.checked_sub(1).map_or(1, |before| self.ends[before]);
        // Nothing of the line, or all of it but its line end, is there.
        let unharmed = end == start || self.bytes[end] == b'\n';
        if unharmed { end } else { start - 1 }
    }
}

impl Appended {
    fn up_to(lines: usize, error: io::Error) -> Self {
        Self { lines, stopped: Some(error) }
    }
}

impl std::fmt::Debug for Lines {
    /// Shows nothing of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::fs::OpenOptions;

    use super::*;

    /// Takes as many bytes at a time as it is told, then everything.
    struct Stingy {
        takes: VecDeque<io::Result<usize>>,
        taken: Vec<u8>,
    }

    impl Write for Stingy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.takes.pop_front().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stingy<const N: usize>(takes: [io::Result<usize>; N]) -> Stingy {
        Stingy { takes: takes.into(), taken: Vec::new() }
    }

    fn lines(texts: &[&str]) -> Lines {
        let mut lines = Lines::default();
        lines.bytes.push(b'\n');
        for text in texts {
            lines.bytes.extend_from_slice(text.as_bytes());
            lines.bytes.push(b'\n');
            lines.ends.push(lines.bytes.len());
        }
        lines
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn one_call_writes_all() {
        let lines = lines(&["{1}", "{2}"]);
        let mut file = stingy([]);
        assert_eq!(lines.append(&mut file, false).lines, 2);
        assert_eq!(file.taken, b"{1}\n{2}\n");
        let mut file = stingy([]);
        assert_eq!(lines.append(&mut file, true).lines, 2);
        assert_eq!(file.taken, b"\n{1}\n{2}\n");
    }

    /// Wherever a call is cut, every line is there whole, and what is not is a piece of one.
    #[test]
    fn a_short_write_is_repaired_wherever_it_is_cut() {
        let lines = lines(&["{1}", "{22}", "{333}"]);
        for start_anew in [false, true] {
            for cut in 1..lines.bytes(start_anew).len() {
                let mut file = stingy([Ok(cut), Err(io::ErrorKind::Interrupted.into())]);
                let appended = lines.append(&mut file, start_anew);
                assert!(appended.stopped.is_none());
                assert_eq!(appended.lines, 3);
                let text = String::from_utf8(file.taken).unwrap();
                assert!(text.ends_with('\n'));
                let found: Vec<_> = text.lines().filter(|line| line.ends_with('}')).collect();
                assert_eq!(found, ["{1}", "{22}", "{333}"], "cut at {cut}: {text:?}");
                assert!(text.lines().count() <= 4 + usize::from(start_anew), "{text:?}");
            }
        }
    }

    #[test]
    fn only_whole_lines_count_when_the_disk_is_full() {
        let lines = lines(&["{1}", "{22}", "{333}"]);
        for cut in 1..lines.bytes(false).len() {
            let mut file = stingy([Ok(cut), Err(full())]);
            let appended = lines.append(&mut file, false);
            let newlines = file.taken.split(|&byte| byte == b'\n').count() - 1;
            assert_eq!(appended.lines, newlines, "cut at {cut}");
            assert_eq!(appended.stopped.unwrap().kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn a_file_that_takes_crumbs_is_given_up() {
        let lines = lines(&["{1}", "{22}"]);
        let mut file = stingy([Ok(6), Ok(2), Ok(2), Ok(2), Ok(2)]);
        let appended = lines.append(&mut file, false);
        assert_eq!((appended.lines, appended.stopped.is_some()), (1, true));
        assert_eq!(file.takes.len(), 2);
        let appended = lines.append(&mut stingy([Ok(0)]), false);
        assert_eq!((appended.lines, appended.stopped.is_some()), (0, true));
    }

    #[test]
    fn a_full_device_takes_nothing() {
        let mut device = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let appended = lines(&["{1}"]).append(&mut device, false);
        assert_eq!(appended.lines, 0);
        assert_eq!(appended.stopped.unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
