//! The place in a stream: where the next session starts, and what it must find there.
//!
//! A stream keeps its messages, so each session names the offset that it starts from. RabbitMQ says
//! nothing when that offset is wrong: if the stream was deleted and declared again, a reader would wait
//! for messages that are behind it. So a session starts from the last acknowledged message, and compares
//! that with what the cursor knows of it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};
use notify_core::Result;

use super::source_config::StreamStart;
use super::stream_checkpoint::{CheckpointFile, StreamCheckpoint};

/// The place in a stream. It outlives the sessions.
#[derive(Debug)]
pub(super) struct StreamCursor {
    stream: String,
    place: StreamPlace,
    file: Option<CheckpointFile>,
    is_loaded: bool,
    /// Whether the session has yet to find the message that it starts from.
    is_searching: bool,
    /// The messages of the session that are not acknowledged: tag, offset and CRC.
    unsettled: VecDeque<(u64, u64, u32)>,
    /// The offset of the last message that the session took.
    last_offset: Option<u64>,
}

/// The place from which the next session starts.
#[derive(Clone, Debug)]
enum StreamPlace {
    /// As configured.
    Start(StreamStart),
    /// Messages published since this time.
    Time(SystemTime),
    /// At this message: none is acknowledged yet.
    At(StreamCheckpoint),
    /// Behind this message.
    After(StreamCheckpoint),
}

/// The meaning of a message for the reader of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamMessage {
    /// A message to hand over, with its offset.
    New(u64),
    /// The last acknowledged message.
    Known,
    /// A message to hand over, behind a gap: the stream has discarded this many messages before it.
    AfterGap(u64, u64),
    /// Not the message that the session starts from: the stream was declared anew.
    Foreign,
}

impl StreamCursor {
    /// Creates the cursor of a stream, at its configured start.
    pub(super) fn new(stream: String, start: StreamStart, file: Option<CheckpointFile>) -> Self {
        Self {
            stream,
            place: StreamPlace::Start(start),
            file,
            is_loaded: false,
            is_searching: false,
            unsettled: VecDeque::new(),
            last_offset: None,
        }
    }

    /// Begins a session: reads the checkpoint, once.
    ///
    /// # Errors
    ///
    /// The error of the file. A checkpoint of another stream counts as none.
    pub(super) async fn begin(&mut self) -> Result<()> {
        if !self.is_loaded {
            if let Some(file) = &self.file
                && let Some(checkpoint) = file.load().await?
                && checkpoint.stream == self.stream
            {
                self.place = StreamPlace::After(checkpoint);
            }
            self.is_loaded = true;
        }
        self.unsettled.clear();
        self.last_offset = None;
        self.is_searching = matches!(self.place, StreamPlace::At(_) | StreamPlace::After(_));
        Ok(())
    }

    /// Returns whether the session has yet to find the message that it starts from.
    pub(super) fn is_searching(&self) -> bool {
        self.is_searching
    }

    /// Forgets where reading was: the stream is a new one, to be read from its start.
    pub(super) fn start_over(&mut self) {
        self.place = StreamPlace::Start(StreamStart::First);
        self.is_searching = false;
    }

    /// Returns the arguments of the consumer: the place to start from.
    pub(super) fn arguments(&mut self) -> FieldTable {
        if let StreamPlace::Start(start) = self.place {
            // A later session must not start later.
            match start {
                StreamStart::Next => self.place = StreamPlace::Time(SystemTime::now()),
                StreamStart::Ago(age) => {
                    let time = SystemTime::now().checked_sub(age);
                    self.place = StreamPlace::Time(time.unwrap_or(SystemTime::UNIX_EPOCH));
                }
                StreamStart::First | StreamStart::Last | StreamStart::Offset(_) => {}
            }
            if start == StreamStart::Next {
                return offset_argument(text("next"));
            }
        }
        offset_argument(match &self.place {
            StreamPlace::Start(StreamStart::Last) => text("last"),
            StreamPlace::Start(StreamStart::Offset(offset)) => number(*offset),
            StreamPlace::Start(_) => text("first"),
            StreamPlace::Time(time) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
                AMQPValue::Timestamp(since.as_secs())
            }
            StreamPlace::At(known) | StreamPlace::After(known) => number(known.offset),
        })
    }

    /// Takes in a message of the session.
    pub(super) fn take(&mut self, delivery: &Delivery) -> StreamMessage {
        let offset = delivery_offset(delivery)
            .or_else(|| self.last_offset.map(|last| last + 1))
            .unwrap_or_default();
        let crc = crc(&delivery.data);
        self.last_offset = Some(offset);
        let mut gap = 0;
        if std::mem::take(&mut self.is_searching)
            && let StreamPlace::At(known) | StreamPlace::After(known) = &self.place
        {
            let is_acknowledged = matches!(self.place, StreamPlace::After(_));
            if offset < known.offset || (offset == known.offset && crc != known.crc) {
                return StreamMessage::Foreign;
            }
            if offset == known.offset && is_acknowledged {
                return StreamMessage::Known;
            }
            gap = offset - known.offset - u64::from(is_acknowledged);
        }
        if matches!(self.place, StreamPlace::Start(_) | StreamPlace::Time(_)) {
            let stream = self.stream.clone();
            self.place = StreamPlace::At(StreamCheckpoint { stream, offset, crc });
        }
        self.unsettled.push_back((delivery.delivery_tag, offset, crc));
        if gap > 0 { StreamMessage::AfterGap(offset, gap) } else { StreamMessage::New(offset) }
    }

    /// Keeps that everything up to this tag is acknowledged.
    ///
    /// # Errors
    ///
    /// The error of the checkpoint file.
    pub(super) async fn settle(&mut self, through: u64) -> Result<()> {
        let mut last = None;
        while let Some(&(tag, offset, crc)) = self.unsettled.front()
            && tag <= through
        {
            self.unsettled.pop_front();
            last = Some(StreamCheckpoint { stream: self.stream.clone(), offset, crc });
        }
        let Some(checkpoint) = last else { return Ok(()) };
        if let Some(file) = &self.file {
            file.save(checkpoint.clone()).await?;
        }
        self.place = StreamPlace::After(checkpoint);
        Ok(())
    }
}

/// Returns the offset that the broker gave a message; `None` if the guard dropped the headers.
fn delivery_offset(delivery: &Delivery) -> Option<u64> {
    let headers = delivery.properties.headers().as_ref()?;
    match headers.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        AMQPValue::LongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}

/// Returns the CRC-32 of a body.
fn crc(body: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    crc.sum()
}

/// Returns the table with the place to start from.
fn offset_argument(value: AMQPValue) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(OFFSET.into(), value);
    arguments
}

/// Returns a word as a value.
fn text(word: &str) -> AMQPValue {
    AMQPValue::LongString(word.into())
}

/// Returns an offset as a value.
fn number(offset: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
}

/// The argument of a consumer that names its start, and the header with a message's offset.
const OFFSET: &str = "x-stream-offset";
