//! The batches of an import, which a thread reads ahead of the writer: [`ImportBatches`].
//!
//! Reading lines, redacting them and writing rows take about as long as each other, so an import that does
//! both at once keeps two processors busy. Nothing here writes to an archive.

use std::io::{self, BufRead};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use notify_core::codec::NotificationLine;
use time::OffsetDateTime;

use super::archive_batch::{ArchiveBatch, UnreadableContent};
use super::control_file::ImportPosition;
use crate::record::record_lines::RecordLines;

/// The batches of an import, in the order of the input.
///
/// A thread reads the input ahead: at most two batches are in memory, besides the one that you hold. A
/// batch has at most 1 000 records, or 8 MiB of bodies and one line more. Dropping the value ends the thread
/// after its batch, unless the input blocks it.
///
/// The iterator ends at the end of the input, and after the first error of the input.
///
/// # Examples
///
/// ```
/// use notify_archive::ArchiveWriter;
/// use notify_archive::record::{RecordLines, RecordReader};
/// use notify_archive::store::ImportBatches;
///
/// # let directory = tempfile::tempdir()?;
/// let mut writer = ArchiveWriter::open(&directory.path().join("archive"))?;
/// let lines = RecordLines::new(&b"a line of a log\n"[..], RecordReader::new("file"));
/// let mut other_lines = 0;
/// for import in ImportBatches::read_ahead(lines, "file", None)? {
///     let import = import?;
///     writer.append(&import.batch)?;
///     other_lines += import.other_lines;
/// }
/// assert_eq!(other_lines, 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ImportBatches {
    batches: Receiver<io::Result<ImportBatch>>,
    /// The thread; `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

/// One batch of an import.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportBatch {
    /// The records and unreadable messages, with the position behind them if the import has one.
    pub batch: ArchiveBatch,
    /// The number of lines that no program wrote as a notification.
    pub other_lines: u64,
    /// The position behind the batch in bytes from the begin of the input.
    pub end: u64,
}

impl ImportBatches {
    /// Starts to read `lines`, whose unreadable messages get the name `source`.
    ///
    /// `head` is the hash of the first line of a file. With it, each batch holds the position from which an
    /// interrupted import of that file continues.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system starts no thread.
    pub fn read_ahead<R: BufRead + Send + 'static>(
        lines: RecordLines<R>,
        source: &str,
        head: Option<[u8; 16]>,
    ) -> io::Result<Self> {
        let (sender, batches) = sync_channel(1);
        let last_line = Vec::new();
        let mut reader = BatchReader { lines, source: source.to_owned(), head, last_line };
        let thread = thread::Builder::new().name("archive-import".to_owned());
        let thread = thread.spawn(move || reader.run(&sender))?;
        Ok(Self { batches, thread: Some(thread) })
    }
}

impl Iterator for ImportBatches {
    type Item = io::Result<ImportBatch>;

    /// # Panics
    ///
    /// If the thread panicked, because the input did. The batches would otherwise seem complete.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.recv().ok();
        if batch.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            resume_unwind(panic);
        }
        batch
    }
}

/// The thread's side.
struct BatchReader<R> {
    lines: RecordLines<R>,
    source: String,
    head: Option<[u8; 16]>,
    /// The line before the position, with its line end.
    last_line: Vec<u8>,
}

impl<R: BufRead> BatchReader<R> {
    /// Sends batches until the end of the input, an error, or the end of the receiver.
    fn run(&mut self, batches: &SyncSender<io::Result<ImportBatch>>) {
        loop {
            let (batch, is_end) = match self.read_batch() {
                Ok(read) => read,
                // Without a receiver, the caller needs no error.
                Err(error) => return drop(batches.send(Err(error))),
            };
            if batches.send(Ok(batch)).is_err() || is_end {
                return;
            }
        }
    }

    /// Reads one batch. Returns whether the input is at its end.
    fn read_batch(&mut self) -> io::Result<(ImportBatch, bool)> {
        let mut import = ImportBatch::default();
        let mut bytes = 0;
        let mut count = 0;
        let mut is_end = false;
        let mut last = None;
        while count < BATCH_RECORDS && bytes < BATCH_BYTES {
            let Some(line) = self.lines.next_line()? else {
                is_end = true;
                break;
            };
            match line.record {
                Ok(record) => {
                    bytes += record.body.len();
                    count += 1;
                    import.batch.records.push(record);
                }
                Err(reason) if is_notification_like(self.lines.text()) => {
                    let content = self.lines.text().to_vec();
                    bytes += content.len();
                    count += 1;
                    import.batch.unreadable.push(UnreadableContent {
                        source: self.source.clone(),
                        received_at: OffsetDateTime::now_utc(),
                        reason: reason.to_string(),
                        length: content.len() as u64,
                        content,
                        sequence: None,
                    });
                }
                Err(_) => import.other_lines += 1,
            }
            import.end = line.end;
            // A last line without an end may still grow: the next import reads it again.
            if self.head.is_some() && line.is_complete {
                self.last_line.clear();
                self.last_line.extend_from_slice(self.lines.text());
                self.last_line.push(b'\n');
                last = Some((line.end, line.number));
            }
        }
        if let (Some(head), Some((end, number))) = (self.head, last) {
            let position = ImportPosition::behind(head, &self.last_line, end, number);
            import.batch.position = Some((self.source.clone(), position));
        }
        Ok((import, is_end))
    }
}

/// Returns `true` if a line was meant to be a notification: another line of a log is none.
fn is_notification_like(line: &[u8]) -> bool {
    let has = |part: &[u8]| line.windows(part.len()).any(|window| window == part);
    line.trim_ascii_start().starts_with(b"{")
        || NotificationLine::is_of_log_driver(line)
        || has(b"message_id")
}

/// The most records of one batch, which the writer syncs as a whole.
const BATCH_RECORDS: usize = 1000;
/// The bytes of bodies that end a batch.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::record::record_reader::RecordReader;

    /// Returns the batches of a text.
    fn batches(text: Vec<u8>) -> ImportBatches {
        let lines = RecordLines::new(io::Cursor::new(text), RecordReader::new("file"));
        ImportBatches::read_ahead(lines, "file", Some([1; 16])).unwrap()
    }

    /// Large lines end a batch early, so that an import needs little memory whatever a file holds.
    #[test]
    fn large_lines_end_a_batch() {
        let line = format!("{{\"x\": \"{}\"}}\n", "y".repeat(1024 * 1024));
        let batches: Vec<_> = batches(line.repeat(20).into_bytes()).map(Result::unwrap).collect();
        let counts: Vec<_> = batches.iter().map(|import| import.batch.unreadable.len()).collect();
        assert_eq!(counts, [8, 8, 4]);
        assert_eq!(batches[2].end, 20 * line.len() as u64);
    }

    /// A line of another logger is none that was meant to be a notification, whatever its text is.
    #[test]
    fn keeps_no_line_of_another_logger() {
        let text = b"7 INFO eventlet [-] \"GET /?oslo.messaging.notification.x HTTP/1.1\" 404\n\
                     7 INFO oslo.messaging.notification.image.create [-] {\"cut\n";
        let import = batches(text.to_vec()).next().unwrap().unwrap();
        assert_eq!((import.batch.unreadable.len(), import.other_lines), (1, 1));
    }

    /// The position stands behind the last line with an end, and proves that line.
    #[test]
    fn a_growing_line_is_behind_the_position() {
        let import = batches(b"{}\nother\n{".to_vec()).next().unwrap().unwrap();
        let position = import.batch.position.unwrap().1;
        assert_eq!(position, ImportPosition::behind([1; 16], b"other\n", 9, 2));
        assert_eq!((import.batch.unreadable.len(), import.other_lines, import.end), (2, 1, 10));
    }

    /// An error of the input comes after the batches before it, and ends the iterator.
    #[test]
    fn an_error_of_the_input_comes_last() {
        struct BrokenInput;
        impl Read for BrokenInput {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let text = io::Cursor::new(b"{}\n".repeat(1000)).chain(io::BufReader::new(BrokenInput));
        let lines = RecordLines::new(text, RecordReader::new("file"));
        let mut batches = ImportBatches::read_ahead(lines, "file", None).unwrap();
        assert_eq!(batches.next().unwrap().unwrap().batch.unreadable.len(), 1000);
        assert_eq!(batches.next().unwrap().unwrap_err().to_string(), "broken");
        assert!(batches.next().is_none());
    }

    /// A panic of the input does not look like its end.
    #[test]
    #[should_panic(expected = "an input that panics")]
    fn a_panic_of_the_input_is_no_end() {
        struct PanickingInput;
        impl Read for PanickingInput {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("an input that panics")
            }
        }
        let input = io::BufReader::new(PanickingInput);
        let lines = RecordLines::new(input, RecordReader::new("file"));
        let _ = ImportBatches::read_ahead(lines, "file", None).unwrap().next();
    }
}
