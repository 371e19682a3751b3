//! The place in a stream from which the next session starts, and the message that it must find there.
//!
//! A stream keeps its messages, so each session names the offset that it starts from. RabbitMQ says
//! nothing when that offset is wrong: if the stream was deleted and declared again, a reader would wait
//! for messages that are behind it. So a session starts from the last acknowledged message, and compares
//! that with what the cursor knows of it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use lapin::types::{AMQPValue, FieldTable};
use notify_core::Result;
use notify_net::guard::content_header::DROPPED_HEADER;

use super::deliveries::ReceivedMessage;
use super::source_config::StreamStart;
use super::stream_checkpoint::{CheckpointFile, KnownMessage, StreamCheckpoint};

/// The place in a stream. It outlives the sessions.
#[derive(Debug)]
pub(super) struct StreamCursor {
    stream: String,
    place: StreamPlace,
    file: Option<CheckpointFile>,
    is_loaded: bool,
    /// Whether the file has yet to keep the place of the first message.
    is_first_unsaved: bool,
    /// Whether the session has yet to find the message that it starts from.
    is_searching: bool,
    /// The messages of the session that are not acknowledged: tag, offset and CRC.
    unsettled: VecDeque<(u64, u64, u32)>,
    /// The offset of the last message that the session took.
    last_offset: Option<u64>,
    /// The CRC of the first message of the session, and the number of messages up to the first with an offset.
    unnumbered: Option<(u32, u64)>,
}

/// The place from which the next session starts.
#[derive(Clone, Debug)]
enum StreamPlace {
    /// As configured.
    Start(StreamStart),
    /// Messages published since this time, in seconds since 1970.
    Time(u64),
    /// At this message: none is acknowledged yet.
    At(KnownMessage),
    /// Behind this message.
    After(KnownMessage),
}

/// The meaning of a message for the reader of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamMessage {
    /// A message to hand over, with its offset.
    New(u64),
    /// A message to hand over whose offset is unknown: the first of a session, without headers.
    Unnumbered,
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
            is_first_unsaved: false,
            is_searching: false,
            unsettled: VecDeque::new(),
            last_offset: None,
            unnumbered: None,
        }
    }

    /// Begins a session: reads the checkpoint, once. Without one, it writes the time of `next` or of an age.
    ///
    /// # Errors
    ///
    /// The error of the file. A checkpoint of another stream counts as none.
    pub(super) async fn begin(&mut self) -> Result<()> {
        if !self.is_loaded {
            if let Some(file) = &self.file {
                match file.load().await?.filter(|kept| kept.stream() == self.stream) {
                    Some(StreamCheckpoint::After(known)) => self.place = StreamPlace::After(known),
                    Some(StreamCheckpoint::At { first }) => self.place = StreamPlace::At(first),
                    Some(StreamCheckpoint::Since { time, .. }) => {
                        self.place = StreamPlace::Time(time);
                    }
                    None => {
                        if let StreamPlace::Start(start) = self.place
                            && let Some(time) = start_time(start)
                        {
                            // From now on, a restart continues here.
                            let stream = self.stream.clone();
                            file.save(StreamCheckpoint::Since { stream, time }).await?;
                        }
                    }
                }
            }
            self.is_loaded = true;
        }
        self.unsettled.clear();
        self.last_offset = None;
        self.unnumbered = None;
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
        if let StreamPlace::Start(start) = self.place
            && let Some(time) = start_time(start)
        {
            // A later session must not start later.
            self.place = StreamPlace::Time(time);
            if start == StreamStart::Next {
                return offset_argument(text("next"));
            }
        }
        offset_argument(match &self.place {
            StreamPlace::Start(StreamStart::Last) => text("last"),
            StreamPlace::Start(StreamStart::Offset(offset)) => number(*offset),
            StreamPlace::Start(_) => text("first"),
            StreamPlace::Time(time) => AMQPValue::Timestamp(*time),
            StreamPlace::At(known) | StreamPlace::After(known) => number(known.offset),
        })
    }

    /// Takes in a message of the session.
    pub(super) fn take(&mut self, message: &ReceivedMessage) -> StreamMessage {
        let crc = crc(&message.body);
        let expected = || self.last_offset.map_or_else(|| self.requested_offset(), |o| Some(o + 1));
        let Some(offset) = message_offset(message).or_else(expected) else {
            // The next message with an offset tells the place of this one.
            self.unnumbered.get_or_insert((crc, 0)).1 += 1;
            return StreamMessage::Unnumbered;
        };
        self.last_offset = Some(offset);
        let mut gap = 0;
        if std::mem::take(&mut self.is_searching)
            && let StreamPlace::At(known) | StreamPlace::After(known) = &self.place
        {
            let is_acknowledged = matches!(self.place, StreamPlace::After(_));
            // Without its body, a message tells its offset only.
            let is_other = crc != known.crc && known.crc != EMPTY_CRC && !is_emptied(message);
            if offset < known.offset || (offset == known.offset && is_other) {
                return StreamMessage::Foreign;
            }
            if offset == known.offset && is_acknowledged {
                return StreamMessage::Known;
            }
            gap = offset - known.offset - u64::from(is_acknowledged);
        }
        if matches!(self.place, StreamPlace::Start(_) | StreamPlace::Time(_)) {
            let (crc, before) = self.unnumbered.take().unwrap_or((crc, 0));
            let (stream, offset) = (self.stream.clone(), offset.saturating_sub(before));
            self.place = StreamPlace::At(KnownMessage { stream, offset, crc });
            self.is_first_unsaved = true;
        }
        self.unsettled.push_back((message.tag, offset, crc));
        if gap > 0 { StreamMessage::AfterGap(offset, gap) } else { StreamMessage::New(offset) }
    }

    /// Returns the offset that the session asked for; `None` if it asked for none.
    fn requested_offset(&self) -> Option<u64> {
        match &self.place {
            StreamPlace::At(known) | StreamPlace::After(known) => Some(known.offset),
            StreamPlace::Start(StreamStart::Offset(offset)) => Some(*offset),
            StreamPlace::Start(_) | StreamPlace::Time(_) => None,
        }
    }

    /// Writes the place of the first message before it is handed over, once.
    ///
    /// # Errors
    ///
    /// The error of the checkpoint file. The next call tries again.
    ///
    /// # Cancel safety
    ///
    /// After a dropped call, the next one writes the place.
    pub(super) async fn keep_first(&mut self) -> Result<()> {
        if self.is_first_unsaved
            && let (Some(file), StreamPlace::At(first)) = (&self.file, &self.place)
        {
            file.save(StreamCheckpoint::At { first: first.clone() }).await?;
        }
        self.is_first_unsaved = false;
        Ok(())
    }

    /// Records that everything up to this tag is acknowledged.
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
            last = Some(KnownMessage { stream: self.stream.clone(), offset, crc });
        }
        let Some(known) = last else { return Ok(()) };
        if let Some(file) = &self.file {
            file.save(StreamCheckpoint::After(known.clone())).await?;
        }
        self.place = StreamPlace::After(known);
        Ok(())
    }
}

/// Returns the time of a start in seconds since 1970; `None` for a start without a time.
fn start_time(start: StreamStart) -> Option<u64> {
    let age = match start {
        StreamStart::Next => Duration::ZERO,
        StreamStart::Ago(age) => age,
        StreamStart::First | StreamStart::Last | StreamStart::Offset(_) => return None,
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Some(now.saturating_sub(age).as_secs())
}

/// Returns the offset that the broker gave a message; `None` if the guard dropped the headers.
fn message_offset(message: &ReceivedMessage) -> Option<u64> {
    let headers = message.properties.headers().as_ref()?;
    match headers.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        AMQPValue::LongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}

/// Returns whether the guard dropped the body, because it exceeds the limit of this session.
fn is_emptied(message: &ReceivedMessage) -> bool {
    let headers = message.properties.headers().as_ref();
    message.body.is_empty()
        && headers.is_some_and(|headers| headers.inner().contains_key(DROPPED_HEADER))
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
/// The CRC-32 of an empty body, which a session with a smaller limit of bodies may have kept.
const EMPTY_CRC: u32 = 0;

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::*;

    /// Returns the message of a stream with this tag, offset and body.
    fn message(tag: u64, offset: u64, body: &str) -> ReceivedMessage {
        let headers = offset_argument(number(offset));
        let properties = BasicProperties::default().with_headers(headers);
        ReceivedMessage { properties, ..bare(tag, body) }
    }

    /// Returns a message without headers.
    fn bare(tag: u64, body: &str) -> ReceivedMessage {
        ReceivedMessage {
            tag,
            redelivered: false,
            routing_key: "q".into(),
            properties: BasicProperties::default(),
            body: body.into(),
        }
    }

    /// Returns the value that the consumer of a cursor starts from.
    fn start(cursor: &mut StreamCursor) -> AMQPValue {
        cursor.arguments().inner()[OFFSET].clone()
    }

    /// A session starts from the last acknowledged message, skips it, and takes the next one.
    #[tokio::test]
    async fn a_session_starts_behind_the_last_acknowledged_message() {
        let mut cursor = StreamCursor::new("s".into(), StreamStart::First, None);
        cursor.begin().await.unwrap();
        assert_eq!(start(&mut cursor), text("first"));
        for (tag, body) in [(1, "a"), (2, "b"), (3, "c")] {
            let offset = 9 + tag;
            let taken = cursor.take(&message(tag, offset, body));
            assert_eq!(taken, StreamMessage::New(offset));
        }
        cursor.settle(2).await.unwrap();
        cursor.begin().await.unwrap();
        assert!(cursor.is_searching());
        assert_eq!(start(&mut cursor), number(11));
        assert_eq!(cursor.take(&message(1, 11, "b")), StreamMessage::Known);
        assert!(!cursor.is_searching());
        assert_eq!(cursor.take(&message(2, 12, "c")), StreamMessage::New(12));
    }

    /// Without an acknowledgement, the next session starts from the first message again.
    #[tokio::test]
    async fn a_session_without_an_acknowledgement_is_repeated() {
        let mut cursor = StreamCursor::new("s".into(), StreamStart::Next, None);
        cursor.begin().await.unwrap();
        assert_eq!(start(&mut cursor), text("next"));
        assert!(matches!(start(&mut cursor), AMQPValue::Timestamp(_)), "not later than before");
        assert_eq!(cursor.take(&message(1, 7, "a")), StreamMessage::New(7));
        cursor.begin().await.unwrap();
        assert_eq!(start(&mut cursor), number(7));
        assert_eq!(cursor.take(&message(1, 7, "a")), StreamMessage::New(7));
    }

    /// A restart before the first acknowledgement does not move the start: to the time of the first run, and
    /// to the first message once it came.
    #[tokio::test]
    async fn a_restart_before_the_first_acknowledgement_skips_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        for start_option in [StreamStart::Next, StreamStart::Ago(hour), StreamStart::Last] {
            let path = dir.path().join("position");
            let run = || {
                let file = CheckpointFile::start(path.clone()).unwrap();
                StreamCursor::new("s".into(), start_option, Some(file))
            };
            if let Some(time) = start_time(start_option) {
                run().begin().await.unwrap();
                let mut cursor = run();
                cursor.begin().await.unwrap();
                let AMQPValue::Timestamp(kept) = start(&mut cursor) else { panic!("no time") };
                assert!((time..time + 60).contains(&kept), "{kept} is not soon after {time}");
                // As after a long pause.
                std::fs::write(&path, r#"{"stream":"s","time":5}"#).unwrap();
                // The checkpoint is for one source at a time.
                cursor = run();
                cursor.begin().await.unwrap();
                assert_eq!(start(&mut cursor), AMQPValue::Timestamp(5));
            }
            let mut cursor = run();
            cursor.begin().await.unwrap();
            assert_eq!(cursor.take(&message(1, 7, "a")), StreamMessage::New(7));
            cursor.keep_first().await.unwrap();
            cursor = run();
            cursor.begin().await.unwrap();
            assert_eq!(start(&mut cursor), number(7));
            // The stream dropped this message and the next one.
            assert_eq!(cursor.take(&message(1, 9, "c")), StreamMessage::AfterGap(9, 2));
            std::fs::remove_file(&path).unwrap();
        }
    }

    /// A later first message tells how many are gone; another message at the place tells that the stream
    /// is a new one.
    #[tokio::test]
    async fn gaps_and_other_streams_are_noticed() {
        for (first, expected) in [
            (message(1, 4, "x"), StreamMessage::New(4)),
            (message(1, 6, "x"), StreamMessage::AfterGap(6, 2)),
            (message(1, 3, "x"), StreamMessage::Foreign),
            (message(1, 0, "x"), StreamMessage::Foreign),
        ] {
            let mut cursor = StreamCursor::new("s".into(), StreamStart::Offset(3), None);
            cursor.begin().await.unwrap();
            assert_eq!(start(&mut cursor), number(3));
            assert_eq!(cursor.take(&message(1, 3, "a")), StreamMessage::New(3));
            cursor.settle(1).await.unwrap();
            cursor.begin().await.unwrap();
            assert_eq!(cursor.take(&first), expected);
        }
    }

    /// A limit of bodies that changes between two sessions makes the stream no other one.
    #[tokio::test]
    async fn a_message_without_its_body_is_known_by_its_offset() {
        let emptied = || {
            let mut headers = FieldTable::default();
            headers.insert(DROPPED_HEADER.into(), text("the body has 9 bytes, more than 2"));
            let properties = BasicProperties::default().with_headers(headers);
            ReceivedMessage { properties, ..bare(1, "") }
        };
        assert_eq!(crc(b""), EMPTY_CRC);
        for (before, after) in [
            (emptied(), message(1, 3, "a")),
            (message(1, 3, "a"), emptied()),
            (emptied(), emptied()),
        ] {
            let mut cursor = StreamCursor::new("s".into(), StreamStart::Offset(3), None);
            cursor.begin().await.unwrap();
            assert_eq!(cursor.take(&before), StreamMessage::New(3));
            cursor.settle(1).await.unwrap();
            cursor.begin().await.unwrap();
            assert_eq!(cursor.take(&after), StreamMessage::Known);
        }
    }

    /// A message whose headers the guard dropped has the offset behind its predecessor, or the offset that
    /// the session starts from.
    #[tokio::test]
    async fn a_message_without_headers_follows_its_predecessor() {
        let mut cursor = StreamCursor::new("s".into(), StreamStart::First, None);
        cursor.begin().await.unwrap();
        assert_eq!(cursor.take(&message(1, 41, "a")), StreamMessage::New(41));
        assert_eq!(cursor.take(&bare(2, "b")), StreamMessage::New(42));
        cursor.settle(2).await.unwrap();
        cursor.begin().await.unwrap();
        assert_eq!(cursor.take(&bare(1, "b")), StreamMessage::Known, "not another stream");
        assert_eq!(cursor.take(&message(2, 43, "c")), StreamMessage::New(43));
    }

    /// Without an offset, the first messages of a session have no place until one tells it. None is skipped
    /// by a restart before their acknowledgement.
    #[tokio::test]
    async fn the_first_messages_without_headers_have_no_place() {
        let mut cursor = StreamCursor::new("s".into(), StreamStart::First, None);
        cursor.begin().await.unwrap();
        assert_eq!(cursor.take(&bare(1, "a")), StreamMessage::Unnumbered);
        assert_eq!(cursor.take(&bare(2, "b")), StreamMessage::Unnumbered);
        cursor.settle(1).await.unwrap();
        assert_eq!(start(&mut cursor), text("first"));
        assert_eq!(cursor.take(&message(3, 43, "c")), StreamMessage::New(43));
        cursor.begin().await.unwrap();
        assert_eq!(start(&mut cursor), number(41));
        assert_eq!(cursor.take(&bare(1, "a")), StreamMessage::New(41));
        assert_eq!(cursor.take(&bare(2, "b")), StreamMessage::New(42));
        cursor.settle(2).await.unwrap();
        assert_eq!(start(&mut cursor), number(42));
    }
}
