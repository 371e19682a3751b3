//! What a producer promised, on disk: a line for each notification before it is emitted, and one when
//! its fate is decided.
//!
//! What was written before a `kill -9` is there after it, and is synced a few times a second. A line
//! that was cut is the last of a process; the next process begins with an empty line.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use glance_notify::{Outcome, Result};
use uuid::Uuid;

/// Appends to a ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    lines: String,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(b"\n")?;
        Ok(Self { file, lines: String::new() })
    }

    /// The same file, to be synced by another thread.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Notes that a notification is about to be emitted. Only after [`write`](Self::write) it may be.
    pub(crate) fn issue(&mut self, id: Uuid, body: &[u8]) {
        // Writing to a string does not fail.
        let _ = writeln!(self.lines, "{ISSUED} {} {:x}", id.simple(), hash(body));
    }

    /// Notes what became of a notification.
    pub(crate) fn decide(&mut self, id: Uuid, result: &Result<()>) {
        let mark = match result.as_ref().map_err(glance_notify::Error::outcome) {
            Ok(()) => ACCEPTED,
            Err(Outcome::Unknown) => UNKNOWN,
            Err(Outcome::NotSent | Outcome::Rejected) => REFUSED,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let _ = writeln!(self.lines, "{mark} {} {now:x}", id.simple());
    }

    /// Gives what was noted to the system, in one piece.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.file.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

/// What is known of a notification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    hash: u64,
    pub(crate) accepted: bool,
    pub(crate) copies: u32,
}

/// Reads a ledger as it grows, and compares it with what was delivered.
#[derive(Debug)]
pub(crate) struct Books {
    file: File,
    /// What was read after the last whole line.
    rest: Vec<u8>,
    entries: HashMap<Uuid, Entry>,
    /// Delivered, and not in the ledger when it was last read.
    strange: Vec<(Uuid, u64)>,
    totals: Totals,
    last_acceptance: Option<u64>,
}

/// Counts since the books were opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) issued: u64,
    pub(crate) accepted: u64,
    /// The library said that it is not delivered.
    pub(crate) refused: u64,
    /// The library said that it does not know.
    pub(crate) unknown: u64,
    /// Different notifications that arrived.
    pub(crate) delivered: u64,
    /// Further copies of them.
    pub(crate) duplicated: u64,
    /// The longest time between two acceptances since [`Books::begin`].
    pub(crate) longest_pause: Duration,
}

impl Books {
    /// Opens the ledger at `path`, which need not exist yet.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).read(true).open(path)?;
        Ok(Self {
            file,
            rest: Vec::new(),
            entries: HashMap::new(),
            strange: Vec::new(),
            totals: Totals::default(),
            last_acceptance: None,
        })
    }

    /// Forgets the pauses so far.
    pub(crate) fn begin(&mut self) {
        self.last_acceptance = None;
        self.totals.longest_pause = Duration::ZERO;
    }

    /// Something arrived.
    pub(crate) fn deliver(&mut self, id: Uuid, body: &[u8]) {
        self.strange.push((id, hash(body)));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Reads what the ledger has by now, and says what is wrong with what arrived.
    pub(crate) fn compare(&mut self) -> io::Result<Vec<String>> {
        self.file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let after = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, after);
        for line in String::from_utf8_lossy(&lines).lines() {
            self.read(line);
        }

        let mut problems = Vec::new();
        for (id, hash) in std::mem::take(&mut self.strange) {
            match self.entries.get_mut(&id) {
                None => problems.push(format!("{id} was delivered and never issued")),
                Some(entry) if entry.hash != hash => {
                    problems.push(format!("{id} was delivered with another body"));
                }
                Some(entry) => {
                    entry.copies += 1;
                    let count = if entry.copies == 1 {
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

    /// What was accepted and has not arrived.
    pub(crate) fn lost(&self) -> Vec<Uuid> {
        let missing = |entry: &Entry| entry.accepted && entry.copies == 0;
        self.entries.iter().filter(|(_, entry)| missing(entry)).map(|(id, _)| *id).collect()
    }

    /// A line that was cut, because its process was killed, says nothing.
    fn read(&mut self, line: &str) {
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
            self.entries.insert(id, Entry { hash: number, accepted: false, copies: 0 });
            self.totals.issued += 1;
            return;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        match mark {
            ACCEPTED => {
                entry.accepted = true;
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

/// The same in every process of this program.
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

    fn fresh() -> (tempfile::TempDir, Ledger, Books) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let books = Books::open(&path).unwrap();
        (directory, Ledger::open(&path).unwrap(), books)
    }

    #[test]
    fn what_is_accepted_and_does_not_arrive_is_lost() {
        let (_directory, mut ledger, mut books) = fresh();
        let [there, gone, open] = [1, 2, 3].map(Uuid::from_u128);
        for id in [there, gone, open] {
            ledger.issue(id, b"body");
        }
        ledger.decide(there, &Ok(()));
        ledger.decide(gone, &Ok(()));
        ledger.write().unwrap();
        for _ in 0..3 {
            books.deliver(there, b"body");
        }
        assert_eq!(books.compare().unwrap(), [""; 0]);
        assert_eq!(books.lost(), [gone]);
        let Totals { issued, accepted, delivered, duplicated, .. } = books.totals();
        assert_eq!((issued, accepted, delivered, duplicated), (3, 2, 1, 2));
    }

    #[test]
    fn what_nobody_issued_or_issued_otherwise_is_a_problem() {
        let (_directory, mut ledger, mut books) = fresh();
        ledger.issue(Uuid::from_u128(1), b"body");
        ledger.write().unwrap();
        books.deliver(Uuid::from_u128(1), b"another");
        books.deliver(Uuid::from_u128(2), b"body");
        assert_eq!(books.compare().unwrap().len(), 2);
    }

    #[test]
    fn a_line_that_was_cut_says_nothing_and_harms_no_other() {
        let (directory, mut ledger, mut books) = fresh();
        let ids = [1, 2].map(Uuid::from_u128);
        ledger.issue(ids[0], b"body");
        ledger.write().unwrap();
        ledger.file.write_all(b"accepted 0000").unwrap();
        books.compare().unwrap();
        let mut next = Ledger::open(&directory.path().join("ledger")).unwrap();
        next.issue(ids[1], b"body");
        next.decide(ids[1], &Ok(()));
        next.write().unwrap();
        books.compare().unwrap();
        assert_eq!((books.totals().issued, books.lost()), (2, vec![ids[1]]));
    }
}
