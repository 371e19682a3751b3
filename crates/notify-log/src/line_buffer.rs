//! The lines of one batch in one buffer, and the way to append them to a file in complete lines.
//!
//! This module knows no file names, locks or syncs. It writes to any [`Write`].

use std::io::{self, Write};

use notify_core::Message;
use notify_core::codec::Envelope;

/// The lines of one batch, ready for a single call of `write`.
///
/// The first byte is a newline. So every line, the first one included, can be written with or
/// without a newline before it, and no bytes need to move when a file ends in a partial line.
#[derive(Default)]
pub(crate) struct LineBuffer {
    /// A newline, then every line with its newline.
    bytes: Vec<u8>,
    /// The offset behind the newline of each line.
    ends: Vec<usize>,
}

/// The progress of [`LineBuffer::append_to`].
pub(crate) struct AppendProgress {
    /// The number of complete lines in the file, counted from the first.
    pub(crate) complete_lines: usize,
    /// The error that stopped the append before the last line.
    pub(crate) error: Option<io::Error>,
}

impl LineBuffer {
    /// Replaces the content by `messages` in the envelope, one line each. Keeps the allocation.
    pub(crate) fn fill(&mut self, messages: &[Message], envelope: Envelope) {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.push(b'\n');
        for message in messages {
            self.bytes.extend_from_slice(&envelope.wrap(message));
            self.bytes.push(b'\n');
            self.ends.push(self.bytes.len());
        }
    }

    /// Returns the number of lines.
    pub(crate) fn line_count(&self) -> usize {
        self.ends.len()
    }

    /// Returns all lines, with a newline before the first if `start_new_line`.
    pub(crate) fn bytes(&self, start_new_line: bool) -> &[u8] {
        &self.bytes[usize::from(!start_new_line)..]
    }

    /// Appends all lines to `file`, in a single call if `file` accepts them all.
    ///
    /// After a short write, the append repeats the partial line from its start, on a new line:
    /// another process may have appended behind the partial line. Two consecutive calls that
    /// complete no line stop the append; otherwise a file that accepts a few bytes per call would
    /// fill up with partial lines.
    pub(crate) fn append_to(&self, file: &mut impl Write, start_new_line: bool) -> AppendProgress {
        let mut start = usize::from(!start_new_line);
        let mut complete_lines = 0;
        let mut last_call_completed_none = false;
        loop {
            let end = match file.write(&self.bytes[start..]) {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    break AppendProgress::stopped(complete_lines, error);
                }
                Ok(written) => start + written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break AppendProgress::stopped(complete_lines, error),
            };
            if end >= self.bytes.len() {
                break AppendProgress { complete_lines: self.line_count(), error: None };
            }
            let complete_now = self.ends.partition_point(|&line_end| line_end <= end);
            let completed_none = complete_now == complete_lines;
            if completed_none && last_call_completed_none {
                let error = io::ErrorKind::WriteZero.into();
                break AppendProgress::stopped(complete_lines, error);
            }
            last_call_completed_none = completed_none;
            complete_lines = complete_now;
            start = self.resume_offset(complete_now, end);
        }
    }

    /// Returns the offset at which the next call starts, after one that stopped at `end`: inside
    /// line `line`, or right before it.
    fn resume_offset(&self, line: usize, end: usize) -> usize {
        let line_start = line.checked_sub(1).map_or(1, |previous| self.ends[previous]);
        // The file has nothing of the line, or all of it except its newline.
        let is_intact = end == line_start || self.bytes[end] == b'\n';
        if is_intact { end } else { line_start - 1 }
    }
}

impl AppendProgress {
    /// Returns the progress of an append that `error` stopped.
    fn stopped(complete_lines: usize, error: io::Error) -> Self {
        Self { complete_lines, error: Some(error) }
    }
}

impl std::fmt::Debug for LineBuffer {
    /// Shows the number of lines and no payload.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineBuffer").field("lines", &self.line_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::fs::OpenOptions;

    use super::*;

    /// A file whose first calls of `write` have scripted results. Later calls accept everything.
    struct ScriptedFile {
        /// The byte counts or errors of the next calls.
        results: VecDeque<io::Result<usize>>,
        content: Vec<u8>,
    }

    impl Write for ScriptedFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.results.pop_front().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns an empty file with these results.
    fn scripted_file<const N: usize>(results: [io::Result<usize>; N]) -> ScriptedFile {
        ScriptedFile { results: results.into(), content: Vec::new() }
    }

    /// Returns a buffer with these lines, without messages around them.
    fn lines(texts: &[&str]) -> LineBuffer {
        let mut lines = LineBuffer::default();
        lines.bytes.push(b'\n');
        for text in texts {
            lines.bytes.extend_from_slice(text.as_bytes());
            lines.bytes.push(b'\n');
            lines.ends.push(lines.bytes.len());
        }
        lines
    }

    /// Returns the error of a full disk.
    fn disk_full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    /// A file that accepts everything gets all lines, and the extra newline only on request.
    #[test]
    fn one_call_writes_all_lines() {
        let lines = lines(&["{1}", "{2}"]);
        let mut file = scripted_file([]);
        assert_eq!(lines.append_to(&mut file, false).complete_lines, 2);
        assert_eq!(file.content, b"{1}\n{2}\n");
        let mut file = scripted_file([]);
        assert_eq!(lines.append_to(&mut file, true).complete_lines, 2);
        assert_eq!(file.content, b"\n{1}\n{2}\n");
    }

    /// After a short write of any length, the file holds every line complete, and besides them at
    /// most one partial line.
    #[test]
    fn repairs_a_short_write_at_every_offset() {
        let lines = lines(&["{1}", "{22}", "{333}"]);
        for start_new_line in [false, true] {
            for cut in 1..lines.bytes(start_new_line).len() {
                let mut file = scripted_file([Ok(cut), Err(io::ErrorKind::Interrupted.into())]);
                let progress = lines.append_to(&mut file, start_new_line);
                assert!(progress.error.is_none());
                assert_eq!(progress.complete_lines, 3);
                let text = String::from_utf8(file.content).unwrap();
                assert!(text.ends_with('\n'));
                let found: Vec<_> = text.lines().filter(|line| line.ends_with('}')).collect();
                assert_eq!(found, ["{1}", "{22}", "{333}"], "cut at {cut}: {text:?}");
                assert!(text.lines().count() <= 4 + usize::from(start_new_line), "{text:?}");
            }
        }
    }

    /// A full disk at any byte: the report never counts a line without its newline.
    #[test]
    fn counts_only_complete_lines_on_a_full_disk() {
        let lines = lines(&["{1}", "{22}", "{333}"]);
        for cut in 1..lines.bytes(false).len() {
            let mut file = scripted_file([Ok(cut), Err(disk_full())]);
            let progress = lines.append_to(&mut file, false);
            let newlines = file.content.split(|&byte| byte == b'\n').count() - 1;
            assert_eq!(progress.complete_lines, newlines, "cut at {cut}");
            assert_eq!(progress.error.unwrap().kind(), io::ErrorKind::StorageFull);
        }
    }

    /// The append gives up before it fills a nearly full disk with partial lines.
    #[test]
    fn gives_up_on_a_file_that_accepts_a_few_bytes_per_call() {
        let lines = lines(&["{1}", "{22}"]);
        let mut file = scripted_file([Ok(6), Ok(2), Ok(2), Ok(2), Ok(2)]);
        let progress = lines.append_to(&mut file, false);
        assert_eq!((progress.complete_lines, progress.error.is_some()), (1, true));
        assert_eq!(file.results.len(), 2);
        let progress = lines.append_to(&mut scripted_file([Ok(0)]), false);
        assert_eq!((progress.complete_lines, progress.error.is_some()), (0, true));
    }

    /// The kernel's own full device behaves as the scripted one does.
    #[test]
    fn a_full_device_accepts_no_line() {
        let mut device = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let progress = lines(&["{1}"]).append_to(&mut device, false);
        assert_eq!(progress.complete_lines, 0);
        assert_eq!(progress.error.unwrap().kind(), io::ErrorKind::StorageFull);
    }
}
