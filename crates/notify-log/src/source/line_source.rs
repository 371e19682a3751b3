//! The source that reads a stream of lines to its end, such as standard input: [`LineSource`].

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::codec::LineFilter;
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Position, Reception,
    SettlementMode, Source,
};
use notify_core::{Context, Error, Result};
use tokio::sync::mpsc;

use super::line_form::{count_notifications, form_of, may_hold_notification};
use super::source_config::LineForm;

/// Reads notifications from a stream of lines, to its end.
///
/// A stream cannot be read twice: the source has one session, hands over each line once, and keeps none.
/// Unsettled lines are lost when the process ends.
///
/// A thread of the source reads the stream. It ends with the stream, or at the first line after the
/// source is dropped. If reading fails, the [`Listener`](notify_core::listener::Listener) returns the error
/// behind the lines before it, and not the end.
///
/// # Examples
///
/// ```
/// use notify_core::listener::{DeadLetters, Listener};
/// use notify_log::{LineForm, LineSource};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// let input = std::io::Cursor::new("2026-11-22 12:54:26 7 INFO glance.api [-] started\n");
/// let source = LineSource::new("standard input", input, LineForm::Auto);
/// let mut listener = Listener::builder(source, DeadLetters::Discard).start()?;
/// assert!(listener.next_delivery().await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LineSource {
    name: String,
    lines: mpsc::Receiver<StreamPart>,
    next_tag: u64,
    is_attached: bool,
    /// The lines that the filter excluded and that were not reported.
    skipped: u64,
    /// The end of the stream, which the source reports behind the lines before it.
    end: Option<Reception>,
}

/// A line with the context that it has beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextLine {
    /// The line, without its end.
    pub bytes: Vec<u8>,
    /// The context. If it is empty, that of oslo.log's prefix counts.
    pub context: Context,
}

impl From<Vec<u8>> for ContextLine {
    /// Returns a line without a context.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, context: Context::new() }
    }
}

/// A part of the stream, `None` at its end, or the error that cut it.
type StreamPart = io::Result<Option<StreamLines>>;

/// Lines of the stream.
enum StreamLines {
    /// A line with its offset.
    Line(u64, ContextLine),
    /// Lines that the filter excluded.
    Skipped(u64),
}

impl LineSource {
    /// Starts reading `input` on a thread of its own.
    ///
    /// If the system starts no thread, the source reports the error and ends.
    pub fn new(
        name: impl Into<String>,
        input: impl BufRead + Send + 'static,
        form: LineForm,
    ) -> Self {
        Self::filtered(name, input, form, None)
    }

    /// Does the same as [`new`](Self::new), but passes over the lines that a filter excludes, as a
    /// [`FileSource`](super::FileSource) does.
    pub fn filtered(
        name: impl Into<String>,
        input: impl BufRead + Send + 'static,
        form: LineForm,
        filter: Option<LineFilter>,
    ) -> Self {
        Self::start(name, move |lines| {
            LineReader { input, form, offset: 0, lines }.run(filter.as_ref());
        })
    }

    /// Hands over lines that another program has read, each with the context that it has beside the line. A
    /// thread of the source iterates. An error ends the source, and so does a panic.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::Context;
    /// use notify_core::listener::{DeadLetters, Listener};
    /// use notify_log::{ContextLine, LineSource};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// let context = Context::builder().request_id("req-1").build()?;
    /// let lines = [Ok(ContextLine { bytes: b"no notification".to_vec(), context })];
    /// let source = LineSource::from_lines("a database", lines.into_iter());
    /// let mut listener = Listener::builder(source, DeadLetters::Discard).start()?;
    /// assert!(listener.next_delivery().await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_lines(
        name: impl Into<String>,
        lines: impl Iterator<Item = io::Result<ContextLine>> + Send + 'static,
    ) -> Self {
        Self::start(name, move |sender| {
            let mut offset = 0;
            let parts = lines.map(|line| -> StreamPart {
                let line = line?;
                let start = offset;
                offset += line.bytes.len() as u64;
                Ok(Some(StreamLines::Line(start, line)))
            });
            for part in parts.chain([Ok(None)]) {
                let is_over = part.is_err();
                if sender.blocking_send(part).is_err() || is_over {
                    return;
                }
            }
        })
    }

    /// Starts the thread that sends lines.
    fn start(
        name: impl Into<String>,
        send: impl FnOnce(mpsc::Sender<StreamPart>) + Send + 'static,
    ) -> Self {
        let (sender, lines) = mpsc::channel(CHANNEL_LINES);
        let thread = std::thread::Builder::new().name("line-source".into());
        let failure = thread.spawn(move || send(sender)).err();
        Self {
            name: name.into(),
            lines,
            next_tag: 1,
            is_attached: false,
            skipped: 0,
            end: failure.map(broken_input),
        }
    }
}

#[async_trait]
impl Source for LineSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn settlement_mode(&self) -> SettlementMode {
        SettlementMode::Cumulative
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        if !std::mem::replace(&mut self.is_attached, true) {
            return Ok(Reception::Attached);
        }
        if credit.room == 0 {
            return std::future::pending().await;
        }
        if self.skipped > 0 {
            return Ok(Reception::Skipped(std::mem::take(&mut self.skipped)));
        }
        if let Some(end) = &self.end {
            return Ok(end.clone());
        }
        let part = self.lines.recv().await.unwrap_or_else(|| {
            // The thread sends the end of the stream. Without that, it panicked.
            Err(io::Error::other("the thread that reads ended early"))
        });
        let mut lines = match part {
            Ok(Some(StreamLines::Line(offset, line))) => vec![(offset, line)],
            Ok(Some(StreamLines::Skipped(lines))) => return Ok(Reception::Skipped(lines)),
            Ok(None) => return Ok(self.end.insert(Reception::End).clone()),
            Err(error) => return Ok(self.end.insert(broken_input(error)).clone()),
        };
        while lines.len() < credit.room
            && self.end.is_none()
            && let Ok(part) = self.lines.try_recv()
        {
            match part {
                Ok(Some(StreamLines::Line(offset, line))) => lines.push((offset, line)),
                Ok(Some(StreamLines::Skipped(lines))) => self.skipped += lines,
                Ok(None) => self.end = Some(Reception::End),
                Err(error) => self.end = Some(broken_input(error)),
            }
        }
        let place: Arc<str> = self.name.as_str().into();
        let deliveries = lines.into_iter().map(|(offset, ContextLine { bytes, context })| {
            let tag = self.next_tag;
            self.next_tag += 1;
            let body = if bytes.len() > credit.max_bytes {
                IncomingBody::TooLarge(bytes.len() as u64)
            } else {
                IncomingBody::Bytes(bytes.into())
            };
            let position = Position::new(Arc::clone(&place), offset);
            let mut delivery = IncomingDelivery::new(tag, body, position);
            delivery.context = context;
            delivery
        });
        Ok(Reception::Deliveries(deliveries.collect()))
    }

    async fn settle(&mut self, _: &DeliverySettlements) -> Result<()> {
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.lines.close();
        Ok(())
    }
}

/// Returns the end of a stream that cannot be read further.
fn broken_input(error: io::Error) -> Reception {
    Reception::Failed(Error::of_file("cannot read the input", error))
}

/// The thread that reads the stream.
struct LineReader<R> {
    input: R,
    form: LineForm,
    /// The offset of the next line.
    offset: u64,
    lines: mpsc::Sender<StreamPart>,
}

impl<R: BufRead> LineReader<R> {
    /// Reads lines until the end of the input, or until the source is dropped.
    fn run(mut self, filter: Option<&LineFilter>) {
        loop {
            let part = self.next_part(filter);
            let is_over = !matches!(part, Ok(Some(_)));
            if self.lines.blocking_send(part).is_err() || is_over {
                return;
            }
        }
    }

    /// Reads until there is a line to hand over, or until the filter has excluded some. Returns `None` at
    /// the end of the input.
    fn next_part(&mut self, filter: Option<&LineFilter>) -> StreamPart {
        loop {
            // The first line decides the form.
            let in_buffer = filter.filter(|_| self.form != LineForm::Auto);
            let skipped = in_buffer.map_or(Ok(0), |filter| self.skip_excluded(filter))?;
            if skipped > 0 {
                return Ok(Some(StreamLines::Skipped(skipped)));
            }
            let mut line = Vec::new();
            // A longer line is cut, and the limit of the listener then says that it is too large.
            (&mut self.input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            let start = self.offset;
            self.offset += line.len() as u64;
            if line.is_empty() {
                return Ok(None);
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() as u64 == MAX_LINE_BYTES {
                self.offset += skip_line(&mut self.input)?;
                return Ok(Some(StreamLines::Line(start, line.into())));
            }
            self.form = form_of(self.form, &line);
            if !may_hold_notification(self.form, &line) {
                continue;
            }
            // The first line, or one that the buffer does not hold as a whole.
            if filter.is_some_and(|filter| !filter.may_hold(&line)) {
                return Ok(Some(StreamLines::Skipped(1)));
            }
            return Ok(Some(StreamLines::Line(start, line.into())));
        }
    }

    /// Passes over the lines in the buffer that the filter excludes, and returns the number of those that
    /// may hold notifications.
    fn skip_excluded(&mut self, filter: &LineFilter) -> io::Result<u64> {
        let buffer = loop {
            match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break self.input.fill_buf()?,
            }
        };
        let length = filter.excluded(buffer);
        let skipped = count_notifications(self.form, &buffer[..length]);
        self.input.consume(length);
        self.offset += length as u64;
        Ok(skipped)
    }
}

/// Discards the rest of a line, and returns its length.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        let (length, is_end) = match memchr::memchr(b'\n', chunk) {
            Some(at) => (at + 1, true),
            None => (chunk.len(), chunk.is_empty()),
        };
        input.consume(length);
        skipped += length as u64;
        if is_end {
            return Ok(skipped);
        }
    }
}

/// The number of lines that the thread reads ahead.
const CHANNEL_LINES: usize = 16;
/// The longest line that the thread keeps, in bytes: more than any limit of a listener should be.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// An error behind lines that are read already is reported after them: the stream did not end there.
    #[tokio::test]
    async fn an_error_behind_lines_is_reported() {
        let (sender, thread_ended) = std::sync::mpsc::channel::<()>();
        let lines = [Ok(ContextLine::from(b"line".to_vec())), Err(io::Error::other("cut"))];
        let lines = lines.into_iter().inspect(move |_| {
            let _ = sender.send(());
        });
        let mut source = LineSource::from_lines("lines", lines);
        while thread_ended.recv().is_ok() {}
        let credit = Credit { window: 10, room: 10, max_bytes: 100 };
        assert!(matches!(source.receive(credit).await, Ok(Reception::Attached)));
        let received = source.receive(credit).await.unwrap();
        assert!(matches!(received, Reception::Deliveries(lines) if lines.len() == 1));
        for _ in 0..2 {
            let end = source.receive(credit).await;
            assert!(matches!(end, Ok(Reception::Failed(_))), "the stream is cut: {end:?}");
        }
    }
}
