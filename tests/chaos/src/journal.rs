//! The journal of a producer: a file with one line for each notification before the producer emits
//! it, and one line for its outcome.
//!
//! Lines that the producer wrote before a `kill -9` survive it. The producer syncs the file a few
//! times per second. A kill can truncate the last line of a process, so the next process starts
//! with an empty line.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glance_notify::{Outcome, Result};
use uuid::Uuid;

/// The producer's side of a journal. It appends lines.
#[derive(Debug)]
pub(crate) struct JournalWriter {
    file: File,
    /// The lines since the last [`write`](Self::write).
    lines: String,
}

impl JournalWriter {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(b"\n")?;
        Ok(Self { file, lines: String::new() })
    }

    /// Returns another handle of the file, for the thread that syncs it.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Records a notification. The producer may emit it after the next [`write`](Self::write).
    pub(crate) fn record_issued(&mut self, id: Uuid, body: &[u8]) {
        // Writing to a `String` never fails.
        let _ = writeln!(self.lines, "{ISSUED} {} {:x}", id.simple(), hash(body));
    }

    /// Records the outcome of a notification.
    pub(crate) fn record_outcome(&mut self, id: Uuid, result: &Result<()>) {
        let mark = match result.as_ref().map_err(glance_notify::Error::outcome) {
            Ok(()) => ACCEPTED,
            Err(Outcome::Unknown) => UNKNOWN,
            Err(Outcome::NotSent | Outcome::Rejected) => REFUSED,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let _ = writeln!(self.lines, "{mark} {} {now:x}", id.simple());
    }

    /// Writes the recorded lines to the file, in one call.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.file.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

/// The journal's facts about one notification, and the number of its copies that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotificationRecord {
    hash: u64,
    pub(crate) accepted: bool,
    pub(crate) copies: u32,
}

/// The other side of a journal. It reads the growing file and compares it with the messages in the
/// broker's queues.
#[derive(Debug)]
pub(crate) struct JournalAudit {
    file: File,
    /// The bytes after the last whole line.
    rest: Vec<u8>,
    records: HashMap<Uuid, NotificationRecord>,
    /// The id and the body's hash of every arrival since the last comparison.
    arrivals: Vec<(Uuid, u64)>,
    totals: DeliveryTotals,
    last_acceptance: Option<u64>,
}

/// The counts of a journal since the start of its audit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DeliveryTotals {
    pub(crate) issued: u64,
    pub(crate) accepted: u64,
    /// Notifications with the outcome not sent or rejected.
    pub(crate) refused: u64,
    /// Notifications with the outcome unknown.
    pub(crate) unknown: u64,
    /// Distinct notifications that arrived.
    pub(crate) delivered: u64,
    /// Further copies of them.
    pub(crate) duplicated: u64,
    /// The longest time between two acceptances since [`JournalAudit::begin_round`].
    pub(crate) longest_pause: Duration,
}

impl JournalAudit {
    /// Opens the journal at `path`, and creates it if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).read(true).open(path)?;
        Ok(Self {
            file,
            rest: Vec::new(),
            records: HashMap::new(),
            arrivals: Vec::new(),
            totals: DeliveryTotals::default(),
            last_acceptance: None,
        })
    }

    /// Starts a new measurement of pauses.
    pub(crate) fn begin_round(&mut self) {
        self.last_acceptance = None;
        self.totals.longest_pause = Duration::ZERO;
    }

    /// Notes a message from a queue.
    pub(crate) fn note_arrival(&mut self, id: Uuid, body: &[u8]) {
        self.arrivals.push((id, hash(body)));
    }

    pub(crate) fn totals(&self) -> DeliveryTotals {
        self.totals
    }

    /// Reads the new lines of the journal, and compares the arrivals with it. Returns the problems.
    pub(crate) fn compare(&mut self) -> io::Result<Vec<String>> {
        self.file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let after = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, after);
        for line in String::from_utf8_lossy(&lines).lines() {
            self.read_line(line);
        }

        let mut problems = Vec::new();
        for (id, hash) in std::mem::take(&mut self.arrivals) {
            match self.records.get_mut(&id) {
                None => problems.push(format!("{id} arrived, but the producer never issued it")),
                Some(record) if record.hash != hash => {
                    problems.push(format!("{id} arrived with another body"));
                }
                Some(record) => {
                    record.copies += 1;
                    let count = if record.copies == 1 {
                        &mut self.totals.delivered
                    } else {
                        &mut self.totals.duplicated
                    };
                    *count += 1;
                }
            }
        }
        Ok(problems)
    }

    /// Returns the accepted notifications that have not arrived.
    pub(crate) fn lost(&self) -> Vec<Uuid> {
        let is_lost = |record: &NotificationRecord| record.accepted && record.copies == 0;
        self.records.iter().filter(|(_, record)| is_lost(record)).map(|(id, _)| *id).collect()
    }

    /// Reads one line. A line that a kill has truncated counts for nothing.
    fn read_line(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (Some(mark), Some(id), Some(number), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let (Ok(id), Ok(number)) = (Uuid::parse_str(id), u64::from_str_radix(number, 16)) else {
            return;
        };
        if mark == ISSUED {
            let record = NotificationRecord { hash: number, accepted: false, copies: 0 };
            self.records.insert(id, record);
            self.totals.issued += 1;
            return;
        }
        let Some(record) = self.records.get_mut(&id) else { return };
        match mark {
            ACCEPTED => {
                record.accepted = true;
                self.totals.accepted += 1;
                let before = self.last_acceptance.replace(number).unwrap_or(number);
                let pause = Duration::from_millis(number.saturating_sub(before));
                self.totals.longest_pause = self.totals.longest_pause.max(pause);
            }
            UNKNOWN => self.totals.unknown += 1,
            _ => self.totals.refused += 1,
        }
    }
}

/// Hashes a body. The result is the same in every process of this program.
fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

const ISSUED: &str = "issued";
const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";
const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, JournalWriter, JournalAudit) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let audit = JournalAudit::open(&path).unwrap();
        (directory, JournalWriter::open(&path).unwrap(), audit)
    }

    /// The audit finds a loss, and counts copies as duplicates.
    #[test]
    fn an_accepted_notification_that_does_not_arrive_is_lost() {
        let (_directory, mut writer, mut audit) = journal();
        let [arrived, lost, undecided] = [1, 2, 3].map(Uuid::from_u128);
        for id in [arrived, lost, undecided] {
            writer.record_issued(id, b"body");
        }
        writer.record_outcome(arrived, &Ok(()));
        writer.record_outcome(lost, &Ok(()));
        writer.write().unwrap();
        for _ in 0..3 {
            audit.note_arrival(arrived, b"body");
        }
        assert_eq!(audit.compare().unwrap(), [""; 0]);
        assert_eq!(audit.lost(), [lost]);
        let DeliveryTotals { issued, accepted, delivered, duplicated, .. } = audit.totals();
        assert_eq!((issued, accepted, delivered, duplicated), (3, 2, 1, 2));
    }

    /// The audit reports an arrival with another body, and one that the producer never issued.
    #[test]
    fn an_arrival_that_does_not_match_the_journal_is_a_problem() {
        let (_directory, mut writer, mut audit) = journal();
        writer.record_issued(Uuid::from_u128(1), b"body");
        writer.write().unwrap();
        audit.note_arrival(Uuid::from_u128(1), b"another");
        audit.note_arrival(Uuid::from_u128(2), b"body");
        assert_eq!(audit.compare().unwrap().len(), 2);
    }

    /// A kill in the middle of a line costs this line only.
    #[test]
    fn a_truncated_line_counts_for_nothing() {
        let (directory, mut writer, mut audit) = journal();
        let ids = [1, 2].map(Uuid::from_u128);
        writer.record_issued(ids[0], b"body");
        writer.write().unwrap();
        writer.file.write_all(b"accepted 0000").unwrap();
        audit.compare().unwrap();
        let mut next = JournalWriter::open(&directory.path().join("journal")).unwrap();
        next.record_issued(ids[1], b"body");
        next.record_outcome(ids[1], &Ok(()));
        next.write().unwrap();
        audit.compare().unwrap();
        assert_eq!((audit.totals().issued, audit.lost()), (2, vec![ids[1]]));
    }
}
