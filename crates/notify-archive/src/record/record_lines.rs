//! The records in the lines of an input: [`RecordLines`].
//!
//! A line may have any length: the reader keeps at most one notification's limit of it.

use std::io::{self, BufRead};

use notify_core::codec::SizeLimits;

use super::event_record::EventRecord;
use super::record_reader::{RecordReader, UnreadableRecord};

/// A reader that returns the lines of an input as records, with their places in the input.
///
/// # Examples
///
/// ```
/// use notify_archive::record::{RecordLines, RecordReader};
///
/// let mut lines = RecordLines::new(&b"\nnot json\n"[..], RecordReader::new("file"));
/// let line = lines.next_line()?.unwrap();
/// assert_eq!((line.number, line.end), (2, 10));
/// assert!(line.record.is_err());
/// assert!(lines.next_line()?.is_none());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordLines<R> {
    input: R,
    reader: RecordReader,
    limit: usize,
    line: Vec<u8>,
    number: u64,
    position: u64,
}

/// One line that is not blank.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordLine {
    /// The number of the line, counted from 1. Blank lines count.
    pub number: u64,
    /// The position behind the line in bytes from the begin of the input.
    pub end: u64,
    /// Whether the line has an end. The last line of a file that another program writes may have none yet.
    pub is_complete: bool,
    /// The record, or the reason why the line is none.
    pub record: Result<EventRecord, UnreadableRecord>,
}

impl<R: BufRead> RecordLines<R> {
    /// Creates a reader of `input`.
    pub fn new(input: R, reader: RecordReader) -> Self {
        let limit = SizeLimits::default().bytes;
        Self { input, reader, limit, line: Vec::new(), number: 0, position: 0 }
    }

    /// Sets the place of the next line, for an input that begins in the middle of a file.
    #[must_use]
    pub fn starting_at(mut self, position: u64, number: u64) -> Self {
        (self.position, self.number) = (position, number);
        self
    }

    /// Returns the next line that is not blank, or `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read. A line without a notification is no error.
    pub fn next_line(&mut self) -> io::Result<Option<RecordLine>> {
        loop {
            let Some((length, is_complete)) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            self.position += length + u64::from(is_complete);
            let record = if length > self.line.len() as u64 {
                Err(UnreadableRecord::too_long(length, self.limit))
            } else if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            } else {
                self.reader.read(&self.line)
            };
            let (number, end) = (self.number, self.position);
            return Ok(Some(RecordLine { number, end, is_complete, record }));
        }
    }

    /// Returns the bytes of the line that came last, cut off at the limit.
    pub fn text(&self) -> &[u8] {
        &self.line
    }

    /// Reads one line into `line` and returns its length, and whether a line end follows it.
    fn read_line(&mut self) -> io::Result<Option<(u64, bool)>> {
        self.line.clear();
        self.line.shrink_to(LINE_BYTES);
        let mut length = 0;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok((length > 0).then_some((length, false)));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = self.limit.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            length += piece.len() as u64;
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some((length, true)));
            }
        }
    }
}

/// The capacity that the buffer of lines shrinks to.
const LINE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    /// Positions and numbers are those of the file, also for a reader that begins in the middle.
    #[test]
    fn lines_know_their_places() {
        let text = "\n{}\r\n\nx";
        let mut lines = RecordLines::new(text.as_bytes(), RecordReader::new("f"));
        let first = lines.next_line().unwrap().unwrap();
        assert_eq!((first.number, first.end, first.is_complete), (2, 5, true));
        let mut rest =
            RecordLines::new(&text.as_bytes()[5..], RecordReader::new("f")).starting_at(5, 2);
        let last = rest.next_line().unwrap().unwrap();
        assert_eq!((last.number, last.end, last.is_complete), (4, 7, false));
        assert!(rest.next_line().unwrap().is_none());
    }

    /// Input cannot exhaust the memory, and the line after a huge one still counts.
    #[test]
    fn a_huge_line_is_unreadable_in_bounded_memory() {
        let huge = io::repeat(b'x').take(8 * 1024 * 1024).chain(&b"\n{}\n"[..]);
        let mut lines = RecordLines::new(BufReader::new(huge), RecordReader::new("f"));
        let line = lines.next_line().unwrap().unwrap();
        assert!(line.record.unwrap_err().to_string().contains("8388608 bytes"));
        assert!(lines.line.capacity() <= 2 * lines.limit);
        assert_eq!(lines.next_line().unwrap().unwrap().number, 2);
    }
}
