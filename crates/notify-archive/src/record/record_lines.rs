//! The records in the lines of an input: [`RecordLines`].
//!
//! A line may have any length: the reader keeps at most one notification's limit of it.

use std::io::{self, BufRead};

use memchr::{memchr, memchr_iter};
use notify_core::codec::{LineFilter, SizeLimits};

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
    filter: Option<LineFilter>,
    limit: usize,
    line: Vec<u8>,
    number: u64,
    position: u64,
    skipped: u64,
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
        let line = Vec::new();
        Self { input, reader, filter: None, limit, line, number: 0, position: 0, skipped: 0 }
    }

    /// Sets a filter. The reader passes over the lines that it excludes, whether they hold a notification
    /// or not.
    #[must_use]
    pub fn filter(self, filter: Option<LineFilter>) -> Self {
        Self { filter, ..self }
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
            self.skip_excluded()?;
            let Some((length, is_complete)) = self.read_line()? else { return Ok(None) };
            self.number += 1;
            self.position += length + u64::from(is_complete);
            let record = if length > self.line.len() as u64 {
                Err(UnreadableRecord::too_long(length, self.limit))
            } else if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            } else if self.filter.as_ref().is_some_and(|filter| !filter.may_hold(&self.line)) {
                // A line that the buffer of the input does not hold as a whole.
                self.skipped += 1;
                continue;
            } else {
                self.reader.read(&self.line)
            };
            let (number, end) = (self.number, self.position);
            return Ok(Some(RecordLine { number, end, is_complete, record }));
        }
    }

    /// Returns the number of lines that the filter excluded.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the bytes of the line that came last, cut off at the limit.
    pub fn text(&self) -> &[u8] {
        &self.line
    }

    /// Passes over the lines in the input's buffer that the filter excludes.
    fn skip_excluded(&mut self) -> io::Result<()> {
        let Some(filter) = &self.filter else { return Ok(()) };
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let length = filter.excluded(buffer);
            if length == 0 {
                return Ok(());
            }
            let lines = memchr_iter(b'\n', &buffer[..length]).count() as u64;
            self.input.consume(length);
            self.position += length as u64;
            self.number += lines;
            self.skipped += lines;
        }
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
            let end = memchr(b'\n', buffer);
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

    /// A filter changes neither the places nor the records of the lines that it lets through.
    #[test]
    fn a_filter_passes_over_lines_and_keeps_places() {
        let wanted = "x".repeat(20);
        let text = format!("a\n\n{wanted}\nb\n{}\n{wanted}", "c".repeat(40));
        for capacity in [1, 8, 30, 4096] {
            let input = BufReader::with_capacity(capacity, text.as_bytes());
            let filter = LineFilter::new([&wanted]);
            let mut lines = RecordLines::new(input, RecordReader::new("f")).filter(filter);
            let first = lines.next_line().unwrap().unwrap();
            assert_eq!((first.number, first.end), (3, 24), "{capacity}");
            let second = lines.next_line().unwrap().unwrap();
            assert_eq!((second.number, second.end), (6, text.len() as u64), "{capacity}");
            assert!(lines.next_line().unwrap().is_none());
            assert!((3..=4).contains(&lines.skipped()), "{capacity}: {}", lines.skipped());
        }
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
