//! Rows of the table `event`, and the records that they hold.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use notify_core::codec::Sequence;
use notify_core::{Context, EventType, Priority};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement, params};
use time::OffsetDateTime;
use uuid::Uuid;

use super::body_encoding;
use super::file_version::{NUMBERS_VERSION, version_of};
use super::row_checksum::{RowChecksum, content_hash};
use crate::record::event_record::{Arrival, EventRecord};

/// A record on its way into the table.
pub(crate) struct EventRow<'a> {
    record: &'a EventRecord,
    pub(crate) hash: [u8; 16],
    encoding: i64,
    body: Cow<'a, [u8]>,
}

/// The columns that [`EventRow::insert`] writes and that [`read`] expects, in this order.
pub(crate) const COLUMNS: &str = "message_id, hash, reused, ts, received_at, skew, event_type, priority, \
    publisher, service, source, region, subject, name, status, owner, receiver, receiver_user, bytes, size, \
    request_id, actor, actor_project, epoch, lane, number, erased, encoding, body, checksum, traceparent, tracestate";

/// The parts of the records that a question reads. SQLite does not even read the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RecordDetail {
    /// The id, the time, the event type and the priority, and what usage is counted by: subject, status,
    /// owner, receiver, project of the request, region, bytes and size. All other facts are missing, and the
    /// name of the sender is empty.
    Usage,
    /// All facts, without the body.
    #[default]
    Facts,
    /// All facts and the body.
    Bodies,
}

impl RecordDetail {
    /// Returns the columns to select from a file.
    pub(crate) fn columns(self, file: &Connection) -> rusqlite::Result<String> {
        // Columns that are not read keep their places.
        let unread = match self {
            Self::Usage => return Ok(USAGE_COLUMNS.to_owned()),
            Self::Facts => ("encoding, body, checksum", "NULL, NULL, NULL"),
            Self::Bodies => ("checksum", "NULL"),
        };
        let columns = all_columns(file)?.replacen(unread.0, unread.1, 1);
        Ok(if self == Self::Facts { columns.replacen("hash", "NULL", 1) } else { columns })
    }
}

/// Returns [`COLUMNS`] to select from a file, with `NULL` for those that its version does not have.
pub(crate) fn all_columns(file: &Connection) -> rusqlite::Result<String> {
    let has_traces = version_of(file)? >= NUMBERS_VERSION;
    let traces = if has_traces { TRACE_COLUMNS } else { "NULL, NULL" };
    Ok(COLUMNS.replacen(TRACE_COLUMNS, traces, 1))
}

/// The statement that inserts a row.
pub(crate) fn insert_sql() -> String {
    format!("INSERT INTO event ({COLUMNS}) VALUES (?{}) ON CONFLICT DO NOTHING", ", ?".repeat(31))
}

impl<'a> EventRow<'a> {
    /// Creates the row of a record.
    pub(crate) fn new(record: &'a EventRecord) -> Self {
        let (encoding, body) = body_encoding::encode(&record.body);
        Self { record, hash: content_hash(&record.body), encoding, body }
    }

    /// Inserts the row. `reused` says that the same id exists at the same time with another content.
    pub(crate) fn insert(
        &self,
        statement: &mut Statement<'_>,
        reused: bool,
    ) -> rusqlite::Result<usize> {
        let record = self.record;
        let sequence = record.sequence.as_ref();
        let epoch = sequence.map(Sequence::epoch);
        let ts = microseconds(record.timestamp);
        let received_at = record.arrival.received_at.map(microseconds);
        let columns = StoredColumns {
            hash: &self.hash,
            id: record.message_id.as_bytes(),
            reused: i64::from(reused),
            ts,
            received_at,
            skew: received_at.map(|received| received - ts),
            event_type: record.event_type.as_str(),
            priority: record.priority.as_str(),
            publisher: &record.publisher_id,
            service: service_of(&record.publisher_id),
            source: record.arrival.source.as_deref(),
            region: record.arrival.region.as_deref(),
            facts: [
                record.subject.as_deref(),
                record.name.as_deref(),
                record.status.as_deref(),
                record.owner.as_deref(),
                record.receiver.as_deref(),
                record.receiver_user.as_deref(),
            ],
            bytes: as_stored(record.bytes_sent),
            size: as_stored(record.size),
            context: [record.context.request_id(), record.context.user(), record.context.project()],
            trace: [record.context.traceparent(), record.context.tracestate()],
            epoch: epoch.as_ref().map(|epoch| epoch.as_bytes().as_slice()),
            lane: sequence.map(Sequence::lane),
            number: sequence.and_then(|sequence| i64::try_from(sequence.number()).ok()),
            erased: None,
        };
        let [subject, name, status, owner, receiver, receiver_user] = columns.facts;
        let [request_id, user, project] = columns.context;
        let [traceparent, tracestate] = columns.trace;
        statement.execute(params![
            columns.id,
            columns.hash,
            columns.reused,
            columns.ts,
            columns.received_at,
            columns.skew,
            columns.event_type,
            columns.priority,
            columns.publisher,
            columns.service,
            columns.source,
            columns.region,
            subject,
            name,
            status,
            owner,
            receiver,
            receiver_user,
            columns.bytes,
            columns.size,
            request_id,
            user,
            project,
            columns.epoch,
            columns.lane,
            columns.number,
            columns.erased,
            self.encoding,
            &*self.body,
            columns.checksum(),
            traceparent,
            tracestate,
        ])
    }
}

/// The columns of a row that its checksum covers. The hash covers the body.
#[derive(Default)]
pub(crate) struct StoredColumns<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) id: &'a [u8],
    pub(crate) reused: i64,
    pub(crate) ts: i64,
    pub(crate) received_at: Option<i64>,
    pub(crate) skew: Option<i64>,
    pub(crate) event_type: &'a str,
    pub(crate) priority: &'a str,
    pub(crate) publisher: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) facts: [Option<&'a str>; 6],
    pub(crate) bytes: Option<i64>,
    pub(crate) size: Option<i64>,
    /// The request, its user and its project.
    pub(crate) context: [Option<&'a str>; 3],
    /// `traceparent` and `tracestate`.
    pub(crate) trace: [Option<&'a str>; 2],
    pub(crate) epoch: Option<&'a [u8]>,
    pub(crate) lane: Option<&'a str>,
    pub(crate) number: Option<i64>,
    pub(crate) erased: Option<&'a str>,
}

impl<'a> StoredColumns<'a> {
    /// Returns the checksum.
    pub(crate) fn checksum(&self) -> i64 {
        let mut sum = RowChecksum::new("event")
            .bytes(Some(self.hash))
            .bytes(Some(self.id))
            .number(Some(self.reused))
            .number(Some(self.ts))
            .number(self.received_at)
            .number(self.skew);
        for text in [Some(self.event_type), Some(self.priority), Some(self.publisher), self.service]
        {
            sum = sum.text(text);
        }
        for text in [self.source, self.region].into_iter().chain(self.facts).chain(self.context) {
            sum = sum.text(text);
        }
        let sum = sum.number(self.bytes).number(self.size).bytes(self.epoch);
        let sum = sum.text(self.lane).number(self.number).text(self.erased);
        // Rows of earlier versions have no traces, and their checksums do not either.
        match self.trace {
            [None, None] => sum.finish(),
            [traceparent, tracestate] => sum.text(traceparent).text(tracestate).finish(),
        }
    }

    /// Returns the columns of a row that was selected with [`COLUMNS`].
    pub(crate) fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let optional = |index| text(row, index);
        Ok(Self {
            id: blob(row, 0)?.unwrap_or_default(),
            hash: blob(row, 1)?.unwrap_or_default(),
            reused: row.get(2)?,
            ts: row.get(3)?,
            received_at: row.get(4)?,
            skew: row.get(5)?,
            event_type: optional(6)?.unwrap_or_default(),
            priority: optional(7)?.unwrap_or_default(),
            publisher: optional(8)?.unwrap_or_default(),
            service: optional(9)?,
            source: optional(10)?,
            region: optional(11)?,
            facts: [
                optional(12)?,
                optional(13)?,
                optional(14)?,
                optional(15)?,
                optional(16)?,
                optional(17)?,
            ],
            bytes: row.get(18)?,
            size: row.get(19)?,
            context: [optional(20)?, optional(21)?, optional(22)?],
            epoch: blob(row, 23)?,
            lane: optional(24)?,
            number: row.get(25)?,
            erased: optional(26)?,
            trace: [optional(30)?, optional(31)?],
        })
    }

    /// Returns the columns of a row that was selected for [`RecordDetail::Usage`].
    pub(crate) fn of_usage(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let optional = |index| text(row, index);
        Ok(Self {
            id: blob(row, 0)?.unwrap_or_default(),
            ts: row.get(1)?,
            event_type: optional(2)?.unwrap_or_default(),
            priority: optional(3)?.unwrap_or_default(),
            region: optional(4)?,
            facts: [optional(5)?, None, optional(6)?, optional(7)?, optional(8)?, None],
            bytes: row.get(9)?,
            size: row.get(10)?,
            context: [None, None, optional(11)?],
            erased: optional(12)?,
            ..Self::default()
        })
    }

    /// Returns the context. An archive of the first edition may hold texts that are not valid today.
    fn context(&self) -> Context {
        if self.context == [None; 3] && self.trace == [None; 2] {
            return Context::new();
        }
        let [request_id, user, project] = self.context.map(Option::unwrap_or_default);
        let [traceparent, tracestate] = self.trace.map(Option::unwrap_or_default);
        let trace = Context::builder().traceparent(traceparent).tracestate(tracestate);
        trace.request_id(request_id).user(user).project(project).build_valid()
    }

    /// Returns the record, or `None` if a column has a value that no record has.
    pub(crate) fn record(
        &self,
        body: Arc<[u8]>,
        interner: &mut TextInterner,
    ) -> Option<EventRecord> {
        let mut shared = |text: Option<&str>| text.map(|text| interner.shared(text));
        let sequence = match (self.epoch, self.lane, self.number) {
            (Some(epoch), Some(lane), Some(number)) => {
                Some(Sequence::new(Uuid::from_slice(epoch).ok()?, lane, number.try_into().ok()?))
            }
            _ => None,
        };
        let unsigned = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let [subject, name, status, owner, receiver, receiver_user] = self.facts;
        Some(EventRecord {
            message_id: Uuid::from_slice(self.id).ok()?,
            timestamp: time_of(self.ts)?,
            event_type: EventType::new(self.event_type).ok()?,
            priority: Priority::from_str(self.priority).ok()?,
            publisher_id: shared(Some(self.publisher))?,
            subject: subject.map(Arc::from),
            name: shared(name),
            status: shared(status),
            owner: shared(owner),
            receiver: shared(receiver),
            receiver_user: shared(receiver_user),
            bytes_sent: unsigned(self.bytes),
            size: unsigned(self.size),
            arrival: Arrival {
                received_at: self.received_at.and_then(time_of),
                source: shared(self.source),
                region: shared(self.region),
            },
            context: self.context(),
            sequence,
            body,
        })
    }
}

/// Texts that occur in many rows, shared between their records.
#[derive(Debug, Default)]
pub(crate) struct TextInterner(std::collections::HashSet<Arc<str>>);

impl TextInterner {
    /// Returns the shared text.
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        if self.0.len() < MOST_SHARED {
            self.0.insert(Arc::clone(&text));
        }
        text
    }
}

/// Returns the body of a row that was selected with [`COLUMNS`], or `None` if it is damaged.
pub(crate) fn body_of(row: &Row<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    let encoding: i64 = row.get(27)?;
    Ok(blob(row, 28)?.and_then(|stored| body_encoding::decode(encoding, stored)))
}

/// Returns a time in microseconds since 1970, as the archive stores it.
pub(crate) fn microseconds(time: OffsetDateTime) -> i64 {
    // The years 0 to 9999 fit.
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
}

/// Returns the time of stored microseconds.
pub(crate) fn time_of(microseconds: i64) -> Option<OffsetDateTime> {
    let second = OffsetDateTime::from_unix_timestamp(microseconds.div_euclid(1_000_000)).ok()?;
    let below = u32::try_from(microseconds.rem_euclid(1_000_000)).ok()?;
    second.replace_microsecond(below).ok()
}

/// Returns the service in a publisher id such as `image.host1`.
fn service_of(publisher_id: &str) -> Option<&str> {
    publisher_id.split_once('.').map(|(service, _)| service)
}

fn as_stored(number: Option<u64>) -> Option<i64> {
    number.and_then(|number| i64::try_from(number).ok())
}

/// Returns a text column without a copy. A value of another type is an error.
pub(crate) fn text<'a>(row: &'a Row<'_>, index: usize) -> rusqlite::Result<Option<&'a str>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        value => value.as_str().map(Some).map_err(|error| error_at(index, error)),
    }
}

/// Returns a blob column without a copy.
pub(crate) fn blob<'a>(row: &'a Row<'_>, index: usize) -> rusqlite::Result<Option<&'a [u8]>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        value => value.as_blob().map(Some).map_err(|error| error_at(index, error)),
    }
}

fn error_at(index: usize, error: rusqlite::types::FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Null, Box::new(error))
}

/// The columns that [`StoredColumns::of_usage`] expects, in this order.
const USAGE_COLUMNS: &str = "message_id, ts, event_type, priority, region, subject, status, owner, receiver, \
    bytes, size, actor_project, erased";

/// The columns of W3C Trace Context.
const TRACE_COLUMNS: &str = "traceparent, tracestate";

/// The most texts that an interner shares.
const MOST_SHARED: usize = 100_000;
