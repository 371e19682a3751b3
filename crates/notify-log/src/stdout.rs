//! Lines to the process's standard output, for containers. The one place in a library that prints.

use std::io::{self, Write};
use std::time::Duration;

use notify_core::{Error, ErrorKind, Outcome, Result};

use crate::lines::Lines;
use crate::writer::Written;

/// Standard output, as lines.
#[derive(Debug, Default)]
pub(crate) struct Stdout {
    /// The last batch was cut, perhaps in the middle of a line.
    cut: bool,
}

impl Stdout {
    /// Writes all lines, however slow their reader is. Nobody else's output comes between.
    pub(crate) fn write(&mut self, lines: &Lines) -> Result<Written> {
        let result = put(&mut io::stdout().lock(), lines.bytes(self.cut));
        self.cut = result.is_err();
        match result {
            Ok(()) => Ok(Written { lines: lines.count(), rest: None }),
            Err(error) => Err(failed(error)),
        }
    }
}

fn put(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match patiently(|| out.write(bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    patiently(|| out.flush())
}

/// Waits where standard output is a pipe that somebody made non-blocking, as if it were not.
fn patiently<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match write() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A closed pipe is an error like any other: Rust programs ignore SIGPIPE.
fn failed(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "`log.target = \"stdout\"`: standard output cannot be written")
        .with_source(error)
        .with_outcome(Outcome::Unknown)
}

const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Is not ready every other time, and takes three bytes when it is.
    #[derive(Default)]
    struct Slow {
        calls: usize,
        taken: Vec<u8>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls % 2 == 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(3);
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_not_ready_loses_nothing() {
        let mut out = Slow::default();
        put(&mut out, b"{\"a\":1}\n{\"b\":2}\n").unwrap();
        assert_eq!(out.taken, b"{\"a\":1}\n{\"b\":2}\n");
    }
}
