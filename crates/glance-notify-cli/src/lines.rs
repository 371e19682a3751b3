//! Reading lines of any length in memory of a fixed size.

use std::io::{self, BufRead, BufReader, Read};

use glance_notify::codec::{NotificationInput, Problem, SizeLimits};

/// Lines of input, one by one.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    limits: SizeLimits,
    number: u64,
    /// A line that does not lie in the reader's buffer as a whole.
    line: Vec<u8>,
}

/// One line that is not blank.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1, blank lines included.
    pub(crate) number: u64,
    /// What it holds, or everything that is wrong with it.
    pub(crate) input: Result<NotificationInput, Vec<Problem>>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            limits: SizeLimits::default(),
            number: 0,
            line: Vec::new(),
        }
    }

    /// The next line that is not blank; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(length) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            let input = if length > self.line.len() as u64 {
                Err(vec![self.too_long(length)])
            } else if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            } else {
                NotificationInput::read(&self.line, &self.limits)
                    .map_err(|problems| problems.iter().cloned().collect())
            };
            return Ok(Some(Line { number: self.number, input }));
        }
    }

    /// Whether the next line is here already, so that reading it waits for nobody.
    pub(crate) fn is_ready(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// Reads one line without its end into `line`, of which the limit and one byte more are kept;
    /// returns the whole length, or `None` at the end.
    fn read_line(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        // One huge line must not occupy its memory for ever.
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
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }

    fn too_long(&self, length: u64) -> Problem {
        Problem {
            pointer: String::new(),
            expected: format!("a line of at most {} bytes", self.limits.bytes),
            found: format!("{length} bytes"),
        }
    }
}

const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(text);
        let mut numbers = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let problem = line.input.err().map(|problems| problems[0].to_string());
            numbers.push((line.number, problem.unwrap_or_default()));
        }
        numbers
    }

    const GOOD: &str =
        r#"{"event_type":"image.upload","priority":"ERROR","payload":"storage is full"}"#;

    #[test]
    fn blank_lines_are_counted_and_left_out() {
        let text = format!("\n{GOOD}\r\n  \t\n\n{GOOD}");
        assert_eq!(numbers(text.as_bytes()), [(2, String::new()), (5, String::new())]);
        assert!(numbers(b"").is_empty() && numbers(b"\n\n").is_empty());
    }

    #[test]
    fn a_huge_line_is_told_by_its_length_and_takes_no_memory() {
        let huge = io::repeat(b'x').take(64 * 1024 * 1024);
        let rest = format!("\n{GOOD}\n");
        let mut lines = Lines::new(huge.chain(rest.as_bytes()));
        let problem = lines.next().unwrap().unwrap().input.unwrap_err();
        assert_eq!(problem[0].found, "67108864 bytes");
        assert!(lines.line.capacity() <= 2 * lines.limits.bytes);
        let next = lines.next().unwrap().unwrap();
        assert_eq!(next.number, 2);
        assert!(next.input.is_ok());
        assert!(lines.line.capacity() <= BUFFER_BYTES);
    }

    #[test]
    fn the_longest_line_allowed_is_read() {
        let limit = SizeLimits::default().bytes;
        let line = |length: usize| {
            let text = format!("{GOOD}{}", " ".repeat(length - GOOD.len()));
            numbers(text.as_bytes())[0].1.clone()
        };
        assert_eq!(line(limit), "");
        assert_eq!(
            line(limit + 1),
            "expected a line of at most 1048576 bytes, found 1048577 bytes"
        );
    }
}
