//! One file with its own contents, read line by line.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use memchr::memchr;
use notify_core::Notification;
use notify_core::codec::LineFilter;

use super::file_head::{FileHead, is_gzip};
use super::line_form::{count_notifications, form_of, may_hold_notification};
use super::source_config::{FileSourceConfig, LineForm};

/// A file that may have more lines, with the position up to which it was read.
#[derive(Debug)]
pub(super) struct TrackedFile {
    /// A number that no other file of this session has.
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) id: (u64, u64),
    /// The head, once the first line is complete.
    pub(super) head: Option<FileHead>,
    /// The number of bytes that are acknowledged, or passed over behind them.
    pub(super) settled: u64,
    /// The end of the last line that was handed over.
    handed_over: u64,
    /// The end of the last line that was handed over or passed over.
    pub(super) passed: u64,
    /// The lines that the filter excluded and that were not reported.
    pub(super) skipped: u64,
    /// The time of the last new bytes, or of the rotation.
    pub(super) last_growth: Instant,
    input: FileInput,
    /// Bytes of the file from `offset` on, of which those before `start` are handled.
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    form: LineForm,
    /// The size so far of a line that is too large, while its rest is discarded.
    overlong: Option<u64>,
    /// Whether the compressed data is cut or wrong, so that the rest of the file is lost, and no report says
    /// so yet.
    pub(super) is_damaged: bool,
    /// Whether the last read met the end.
    is_at_end: bool,
    /// Whether the bytes behind the last line end counted as a line, so that nothing more is read.
    is_over: bool,
    place: Arc<str>,
}

/// The bytes of a file.
#[derive(Debug)]
enum FileInput {
    Plain(File),
    Gzip(Box<MultiGzDecoder<File>>),
    /// Compressed data behind damage. Nothing reads it: a decoder can return the same error at every read.
    Damaged,
}

/// One line of a file.
#[derive(Debug)]
pub(super) struct TailLine {
    /// The number of the file.
    pub(super) file: u64,
    /// The path of the file.
    pub(super) place: Arc<str>,
    /// The offset of the line.
    pub(super) start: u64,
    /// The offset from which a restart continues, once the line is acknowledged: that behind its line end, or
    /// else that of [`take_rest`](TrackedFile::take_rest).
    pub(super) end: u64,
    /// The bytes without the line end, or the size of a line that is too large.
    pub(super) content: Result<Vec<u8>, u64>,
}

/// The reason why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadStop {
    /// There is no room for more lines.
    Room,
    /// The file has no more complete lines.
    End,
    /// The file was truncated or written anew: it no longer has the contents that it had.
    Displaced,
}

impl TrackedFile {
    /// Starts reading an open file at `offset`.
    ///
    /// Compressed data that is damaged before `offset` has no more lines, and is no error.
    ///
    /// # Errors
    ///
    /// The error of the file.
    pub(super) fn new(
        number: u64,
        path: PathBuf,
        id: (u64, u64),
        file: File,
        offset: u64,
        form: LineForm,
    ) -> io::Result<Self> {
        let head = FileHead::of_file(&file)?;
        let is_compressed = is_gzip(&file)?;
        // A copy may be shorter than the file was when its last lines were read.
        let offset = if is_compressed { offset } else { offset.min(file.metadata()?.len()) };
        let mut start = vec![0; FORM_BYTES];
        let input = if is_compressed {
            io::Seek::rewind(&mut &file)?;
            let mut decoder = MultiGzDecoder::new(file);
            start.clear();
            match skip(&mut decoder, offset, &mut start) {
                Err(error) if is_gzip_damage(&error) => FileInput::Damaged,
                skipped => skipped.map(|()| FileInput::Gzip(Box::new(decoder)))?,
            }
        } else {
            let read = file.read_at(&mut start, 0)?;
            start.truncate(read);
            FileInput::Plain(file)
        };
        let is_damaged = matches!(input, FileInput::Damaged);
        // From the start on, the first line decides when it is read.
        let form = if offset > 0 { form_of(form, &start) } else { form };
        let place = path.to_string_lossy().into();
        Ok(Self {
            number,
            path,
            id,
            head,
            settled: offset,
            handed_over: offset,
            passed: offset,
            skipped: 0,
            last_growth: Instant::now(),
            input,
            buffer: Vec::new(),
            start: 0,
            offset,
            form,
            overlong: None,
            is_damaged,
            is_at_end: false,
            is_over: false,
            place,
        })
    }

    /// Returns `true` if every line that was handed over is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.settled >= self.handed_over
    }

    /// Records that the lines before `offset` are acknowledged.
    pub(super) fn settle(&mut self, offset: u64) {
        self.settled = self.settled.max(offset);
        if self.is_settled() {
            self.settled = self.settled.max(self.passed);
        }
    }

    /// Continues the account of a file in a copy of it.
    pub(super) fn take_over(&mut self, original: &Self) {
        self.settled = original.settled;
        self.handed_over = original.handed_over;
        self.skipped = original.skipped;
    }

    /// Returns `true` if there may be bytes that were not read.
    ///
    /// # Errors
    ///
    /// The error of the file.
    pub(super) fn has_more(&self) -> io::Result<bool> {
        match &self.input {
            FileInput::Plain(file) => {
                Ok(file.metadata()?.len() > self.offset + self.buffer.len() as u64)
            }
            FileInput::Gzip(_) | FileInput::Damaged => Ok(!self.is_at_end),
        }
    }

    /// Adds at most `room` lines to `lines`, each of at most `max_bytes`, and passes over those that the
    /// filter excludes. Stops after about a megabyte.
    ///
    /// # Errors
    ///
    /// The error of the file.
    pub(super) fn read(
        &mut self,
        lines: &mut Vec<TailLine>,
        room: usize,
        max_bytes: usize,
        config: &FileSourceConfig,
    ) -> io::Result<ReadStop> {
        if self.is_over {
            return Ok(ReadStop::End);
        }
        let filter = config.filter.as_ref();
        let mut budget = READ_BYTES;
        let target = lines.len() + room;
        loop {
            self.take_lines(lines, target, max_bytes, filter);
            if lines.len() >= target || budget == 0 {
                return Ok(ReadStop::Room);
            }
            match self.fill()? {
                FillResult::Bytes(bytes) => {
                    self.last_growth = Instant::now();
                    budget = budget.saturating_sub(bytes);
                }
                FillResult::End => {
                    if !config.follow {
                        self.take_rest(lines, filter);
                    }
                    return Ok(ReadStop::End);
                }
                FillResult::Displaced => return Ok(ReadStop::Displaced),
            }
        }
    }

    /// Moves complete lines from the buffer to `lines`, until there are `target`.
    fn take_lines(
        &mut self,
        lines: &mut Vec<TailLine>,
        target: usize,
        max_bytes: usize,
        filter: Option<&LineFilter>,
    ) {
        while lines.len() < target {
            // The rest of a line that is too large is no line.
            if let (Some(filter), None) = (filter, self.overlong) {
                self.skip_lines(filter);
            }
            let rest = &self.buffer[self.start..];
            let start = self.offset + self.start as u64;
            let Some(length) = memchr(b'\n', rest) else {
                if rest.len() > max_bytes || self.overlong.is_some() {
                    *self.overlong.get_or_insert(0) += rest.len() as u64;
                    self.start = self.buffer.len();
                }
                break;
            };
            let end = start + length as u64 + 1;
            let line = &rest[..length];
            self.form = form_of(self.form, line);
            let size = self.overlong.take().unwrap_or(0) + length as u64;
            let content = if size > max_bytes as u64 {
                Err(size)
            } else if may_hold_notification(self.form, line) {
                Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            } else {
                self.start += length + 1;
                self.pass(end);
                continue;
            };
            self.start += length + 1;
            (self.handed_over, self.passed) = (end, end);
            let start = end - 1 - size;
            let place = Arc::clone(&self.place);
            lines.push(TailLine { file: self.number, place, start, end, content });
        }
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.start = 0;
    }

    /// Adds the bytes behind the last line end to `lines`, as the last line of a file that is not followed.
    ///
    /// The position moves behind them only if they hold a notification. Otherwise they may be the begin of a
    /// line that a program still writes, so a restart reads them again.
    fn take_rest(&mut self, lines: &mut Vec<TailLine>, filter: Option<&LineFilter>) {
        let overlong = self.overlong.take();
        let rest = std::mem::take(&mut self.buffer);
        if rest.is_empty() && overlong.is_none() {
            return;
        }
        // Bytes that come later may belong to the same line.
        self.is_over = true;
        let start = self.offset - overlong.unwrap_or(0);
        let mut end = start;
        let content = match overlong {
            Some(size) => Err(size),
            None if !may_hold_notification(form_of(self.form, &rest), &rest) => return,
            None if filter.is_some_and(|filter| !filter.may_hold(&rest)) => {
                self.skipped += 1;
                return;
            }
            None => {
                if Notification::decode(&rest).is_ok() {
                    end += rest.len() as u64;
                    (self.handed_over, self.passed) = (end, end);
                }
                Ok(rest)
            }
        };
        let place = Arc::clone(&self.place);
        lines.push(TailLine { file: self.number, place, start, end, content });
    }

    /// Passes over the lines that the filter excludes, up to one that it does not.
    fn skip_lines(&mut self, filter: &LineFilter) {
        let rest = &self.buffer[self.start..];
        if self.form == LineForm::Auto {
            // The first line decides the form.
            let Some(length) = memchr(b'\n', rest) else { return };
            self.form = form_of(self.form, &rest[..length]);
        }
        let length = filter.excluded(rest);
        if length > 0 {
            self.skipped += count_notifications(self.form, &rest[..length]);
            self.start += length;
            self.pass(self.offset + self.start as u64);
        }
    }

    /// Records that the lines before `end` are passed over.
    fn pass(&mut self, end: u64) {
        self.passed = end;
        if self.is_settled() {
            self.settled = end;
        }
    }

    /// Reads one more chunk into the buffer.
    fn fill(&mut self) -> io::Result<FillResult> {
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK_BYTES, 0);
        let position = self.offset + length as u64;
        let is_gzip = matches!(self.input, FileInput::Gzip(_));
        let read = loop {
            let space = &mut self.buffer[length..];
            let read = match &mut self.input {
                FileInput::Plain(file) => file.read_at(space, position),
                FileInput::Gzip(decoder) => decoder.read(space),
                FileInput::Damaged => Ok(0),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_gzip && is_gzip_damage(&error) => {
                    self.input = FileInput::Damaged;
                    self.is_damaged = true;
                    break Ok(0);
                }
                read => break read,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        let read = read?;
        if self.head.is_none() && self.offset == 0 {
            self.head = FileHead::of_bytes(&self.buffer);
        }
        // After the read, so that bytes of other contents are never taken for ours.
        if let FileInput::Plain(file) = &self.input {
            let is_shorter = file.metadata()?.len() < position + read as u64;
            let is_other = match &self.head {
                Some(head) => !head.is_of(file)?,
                None => false,
            };
            if is_shorter || is_other {
                self.buffer.clear();
                return Ok(FillResult::Displaced);
            }
        }
        self.is_at_end = read == 0;
        Ok(if read == 0 { FillResult::End } else { FillResult::Bytes(read) })
    }
}

/// Reads the first `offset` bytes of compressed data, and adds those that tell the form to `start`.
fn skip(decoder: &mut MultiGzDecoder<File>, offset: u64, start: &mut Vec<u8>) -> io::Result<()> {
    decoder.by_ref().take(offset.min(FORM_BYTES as u64)).read_to_end(start)?;
    let rest = offset - start.len() as u64;
    io::copy(&mut decoder.by_ref().take(rest), &mut io::sink())?;
    Ok(())
}

/// Returns `true` if an error of a decoder is about the compressed data, and not about the disk.
fn is_gzip_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// The result of reading one chunk.
enum FillResult {
    Bytes(usize),
    End,
    Displaced,
}

/// The bytes at the start of a file that tell its form.
const FORM_BYTES: usize = 64;
/// The size of one read.
const CHUNK_BYTES: usize = 64 * 1024;
/// The bytes that one call reads at most, so that rotations are noticed meanwhile.
const READ_BYTES: usize = 1024 * 1024;
