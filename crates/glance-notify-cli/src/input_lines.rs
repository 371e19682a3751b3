//! Lines of input, each decoded as a notification.
//!
//! A line may have any length: the reader keeps at most [`SizeLimits::bytes`] of it, so
//! that hostile input cannot exhaust the memory. A line that is longer becomes a
//! problem with its real length, like any other line that is no notification.

use std::io::{self, BufRead, BufReader, Read};

use glance_notify::codec::{NotificationInput, Problem, SizeLimits};

/// A reader that returns the lines of an input one by one.
pub(crate) struct InputLines<R> {
    reader: BufReader<R>,
    /// The limits of a notification. `limits.bytes` also bounds a line.
    limits: SizeLimits,
    /// The number of lines read so far, blank lines included.
    number: u64,
    /// The number of bytes of these lines.
    bytes: u64,
    /// The current line, cut off at the limit.
    line: Vec<u8>,
}

/// One line that is not blank.
#[derive(Debug)]
pub(crate) struct InputLine {
    /// The line number, counted from 1. Blank lines count.
    pub(crate) number: u64,
    /// The notification on the line with a warning for each attribute that it does not hold, or every
    /// problem that the decoder found in the line.
    pub(crate) input: Result<(NotificationInput, Vec<Problem>), InvalidLine>,
}

/// A line that is no notification.
#[derive(Debug)]
pub(crate) struct InvalidLine {
    /// Every problem that the decoder found.
    pub(crate) problems: Vec<Problem>,
    /// The text of the line without its line break, cut off at the limit.
    pub(crate) text: Vec<u8>,
    /// Whether the line is longer than `text`.
    pub(crate) is_cut: bool,
}

impl<R: Read> InputLines<R> {
    /// Creates a reader with the default [`SizeLimits`].
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            limits: SizeLimits::default(),
            number: 0,
            bytes: 0,
            line: Vec::new(),
        }
    }

    /// Returns the next line that is not blank, or `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read. An invalid line is no error: see
    /// [`InputLine::input`].
    pub(crate) fn next(&mut self) -> io::Result<Option<InputLine>> {
        loop {
            let Some(length) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            let input = if length > self.line.len() as u64 {
                Err(self.invalid(vec![self.too_long(length)], true))
            } else if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            } else {
                NotificationInput::decode_with_warnings(&self.line, &self.limits)
                    .map_err(|problems| self.invalid(problems.iter().cloned().collect(), false))
            };
            return Ok(Some(InputLine { number: self.number, input }));
        }
    }

    /// Returns the text of the line that [`next`](Self::next) returned last, cut off at the limit.
    pub(crate) fn text(&self) -> &[u8] {
        &self.line
    }

    /// Returns the number of bytes read so far, with line breaks.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether the buffer holds a whole line, so that [`next`](Self::next) does
    /// not wait for the input.
    pub(crate) fn is_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// Reads one line without its line break into `line`, and returns its whole length.
    ///
    /// Keeps at most the limit of the line. Returns `None` at the end of the input.
    fn read_line(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        // Return the memory that an earlier huge line took.
        self.line.shrink_to(BUFFER_BYTES);
        let mut length = 0;
        loop {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                return Ok((length > 0).then_some(length));
            }
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = self.limits.bytes - self.line.len().min(self.limits.bytes);
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            length += piece.len() as u64;
            let used = piece.len() + usize::from(end.is_some());
            self.reader.consume(used);
            self.bytes += used as u64;
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }

    /// Returns the current line as an invalid one.
    fn invalid(&self, problems: Vec<Problem>, is_cut: bool) -> InvalidLine {
        InvalidLine { problems, text: self.line.clone(), is_cut }
    }

    /// Returns the problem of a line with more bytes than the limit allows.
    fn too_long(&self, length: u64) -> Problem {
        Problem {
            pointer: String::new(),
            expected: format!("a line of at most {} bytes", self.limits.bytes),
            found: format!("{length} bytes"),
        }
    }
}

/// The size of the read buffer, and the capacity that the line buffer shrinks to.
const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all lines of `text`: the number of each, and its first problem.
    fn read_all(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = InputLines::new(text);
        let mut read = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let problem = line.input.err().map(|invalid| invalid.problems[0].to_string());
            read.push((line.number, problem.unwrap_or_default()));
        }
        read
    }

    /// A valid line.
    const GOOD: &str =
        r#"{"event_type":"image.upload","priority":"ERROR","payload":"storage is full"}"#;

    /// The line number in a message is the one that an editor shows.
    #[test]
    fn blank_lines_are_skipped_but_counted() {
        let text = format!("\n{GOOD}\r\n  \t\n\n{GOOD}");
        assert_eq!(read_all(text.as_bytes()), [(2, String::new()), (5, String::new())]);
        assert!(read_all(b"").is_empty() && read_all(b"\n\n").is_empty());
    }

    /// Input cannot exhaust the memory, and the line after a huge one still counts.
    #[test]
    fn a_huge_line_is_reported_with_its_length_in_bounded_memory() {
        let huge = io::repeat(b'x').take(64 * 1024 * 1024);
        let rest = format!("\n{GOOD}\n");
        let mut lines = InputLines::new(huge.chain(rest.as_bytes()));
        let problem = lines.next().unwrap().unwrap().input.unwrap_err();
        assert_eq!(problem.problems[0].found, "67108864 bytes");
        assert!(lines.line.capacity() <= 2 * lines.limits.bytes);
        let next = lines.next().unwrap().unwrap();
        assert_eq!(next.number, 2);
        assert!(next.input.is_ok());
        assert!(lines.line.capacity() <= BUFFER_BYTES);
    }

    /// The limit itself is still valid.
    #[test]
    fn the_longest_allowed_line_is_valid() {
        let limit = SizeLimits::default().bytes;
        let line = |length: usize| {
            let text = format!("{GOOD}{}", " ".repeat(length - GOOD.len()));
            read_all(text.as_bytes())[0].1.clone()
        };
        assert_eq!(line(limit), "");
        assert_eq!(
            line(limit + 1),
            "expected a line of at most 1048576 bytes, found 1048577 bytes"
        );
    }
}
