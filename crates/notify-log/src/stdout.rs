//! The target `stdout`: lines on the process's standard output, for containers.
//!
//! No other library code of the workspace may print. `cargo xtask tidy` exempts this file.

use std::io::{self, Write};
use std::time::Duration;

use notify_core::{Error, ErrorKind, Outcome, Result};

use crate::line_buffer::LineBuffer;
use crate::write_report::WriteReport;

/// Standard output as an output for lines.
#[derive(Debug, Default)]
pub(crate) struct StdoutSink {
    /// Whether the last batch failed, perhaps in the middle of a line.
    partial_line: bool,
}

impl StdoutSink {
    /// Writes all lines, however slowly the other end of a pipe reads them.
    ///
    /// The call holds the lock of standard output, so that no other thread can print in between. If
    /// the previous batch failed, the first line starts on a new line.
    ///
    /// # Errors
    ///
    /// An error of the outcome [`Unknown`](Outcome::Unknown): any part of the batch may be out.
    pub(crate) fn write(&mut self, lines: &LineBuffer) -> Result<WriteReport> {
        let result = write_and_flush(&mut io::stdout().lock(), lines.bytes(self.partial_line));
        self.partial_line = result.is_err();
        match result {
            Ok(()) => Ok(WriteReport { complete_lines: lines.line_count(), error: None }),
            Err(error) => Err(write_error(error)),
        }
    }
}

/// Writes all `bytes`, then flushes the buffer of standard output.
fn write_and_flush(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retry_until_ready(|| out.write(bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    retry_until_ready(|| out.flush())
}

/// Repeats `write` while it fails with `WouldBlock` or `Interrupted`.
///
/// A pipe is non-blocking if any process that shares it has made it so. This loop gives it the
/// behaviour of a blocking pipe.
fn retry_until_ready<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match write() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Converts a failed write. A closed pipe is an ordinary error, because Rust programs ignore SIGPIPE.
fn write_error(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "`log.target = \"stdout\"`: cannot write to standard output")
        .with_source(error)
        .with_outcome(Outcome::Unknown)
}

/// The pause before another try at a pipe that is not ready.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that is not ready at every other call, and otherwise accepts three bytes.
    #[derive(Default)]
    struct NonBlockingPipe {
        /// The number of calls of `write` so far.
        calls: usize,
        /// The accepted bytes.
        content: Vec<u8>,
    }

    impl Write for NonBlockingPipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 2 == 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(3);
            self.content.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A slow reader of a non-blocking pipe gets every byte once, in order.
    #[test]
    fn a_slow_reader_loses_nothing() {
        let mut out = NonBlockingPipe::default();
        write_and_flush(&mut out, b"{\"a\":1}\n{\"b\":2}\n").unwrap();
        assert_eq!(out.content, b"{\"a\":1}\n{\"b\":2}\n");
    }
}
