//! The source that reads a stream of lines to its end, such as standard input: [`LineSource`].

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::sync::Arc;

use async_trait::async_trait;
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Position, Reception,
    SettlementMode, Source,
};
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

use super::line_form::{form_of, may_hold_notification};
use super::source_config::LineForm;

/// Reads notifications from a stream of lines, to its end.
///
/// A stream cannot be read twice. The source keeps the lines that are not acknowledged, at most as many
/// as the prefetch, and hands them over again in a new session. Unsettled lines are lost when the process
/// ends.
///
/// A thread of the source reads the stream. It ends with the stream, or at the first line after the
/// source is dropped.
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
    lines: mpsc::Receiver<StreamLine>,
    /// Lines of earlier sessions, and of this one, that are not acknowledged: the first tag and the
    /// lines.
    first_tag: u64,
    unsettled: VecDeque<IncomingDelivery>,
    /// The number of unsettled lines that this session handed over.
    handed_over: usize,
    is_attached: bool,
}

/// A line of the stream with its offset, or the error that ended it.
type StreamLine = std::io::Result<(u64, Vec<u8>)>;

impl LineSource {
    /// Starts reading `input` on a thread of its own.
    ///
    /// If the system starts no thread, the source ends at once.
    pub fn new(
        name: impl Into<String>,
        input: impl BufRead + Send + 'static,
        form: LineForm,
    ) -> Self {
        let (sender, lines) = mpsc::channel(CHANNEL_LINES);
        let thread = std::thread::Builder::new().name("line-source".into());
        if let Err(error) = thread.spawn(move || read_lines(input, form, &sender)) {
            tracing::error!(%error, "cannot start the thread that reads lines");
        }
        Self {
            name: name.into(),
            lines,
            first_tag: 1,
            unsettled: VecDeque::new(),
            handed_over: 0,
            is_attached: false,
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
            self.handed_over = 0;
            return Ok(Reception::Attached);
        }
        if credit.room == 0 {
            return std::future::pending().await;
        }
        if self.handed_over == self.unsettled.len() {
            let Some(line) = self.lines.recv().await else { return Ok(Reception::End) };
            let (offset, bytes) = line.map_err(|error| {
                self.is_attached = false;
                Error::new(ErrorKind::Unavailable, "cannot read the input").with_source(error)
            })?;
            let mut lines = vec![(offset, bytes)];
            while lines.len() < credit.room
                && let Ok(Ok(line)) = self.lines.try_recv()
            {
                lines.push(line);
            }
            let place: Arc<str> = self.name.as_str().into();
            for (offset, bytes) in lines {
                let tag = self.first_tag + self.unsettled.len() as u64;
                let body = if bytes.len() > credit.max_bytes {
                    IncomingBody::TooLarge(bytes.len() as u64)
                } else {
                    IncomingBody::Bytes(bytes.into())
                };
                let position = Position::new(Arc::clone(&place), offset);
                self.unsettled.push_back(IncomingDelivery::new(tag, body, position));
            }
        }
        let next = self.unsettled.iter().skip(self.handed_over).take(credit.room);
        let deliveries: Vec<_> = next.cloned().collect();
        self.handed_over += deliveries.len();
        Ok(Reception::Deliveries(deliveries))
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        while settlements.through.is_some_and(|tag| self.first_tag <= tag)
            && self.unsettled.pop_front().is_some()
        {
            self.first_tag += 1;
            self.handed_over = self.handed_over.saturating_sub(1);
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.lines.close();
        Ok(())
    }
}

/// Reads lines until the end of the input, or until the source is dropped.
fn read_lines(mut input: impl BufRead, form: LineForm, lines: &mpsc::Sender<StreamLine>) {
    let mut offset = 0;
    let mut form = form;
    loop {
        let mut line = Vec::new();
        // A longer line is cut, and the limit of the listener then says that it is too large.
        let read = (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        let start = offset;
        offset += line.len() as u64;
        let result = match read {
            Ok(0) => return,
            Ok(_) if line.len() as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n') => {
                match skip_line(&mut input) {
                    Ok(rest) => offset += rest,
                    Err(error) => return drop(lines.blocking_send(Err(error))),
                }
                Ok((start, line))
            }
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                form = form_of(form, &line);
                if !may_hold_notification(form, &line) {
                    continue;
                }
                Ok((start, line))
            }
            Err(error) => Err(error),
        };
        let is_over = result.is_err();
        if lines.blocking_send(result).is_err() || is_over {
            return;
        }
    }
}

/// Discards the rest of a line, and returns its length.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let chunk = input.fill_buf()?;
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
