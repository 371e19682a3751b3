//! What the thread of a slot does: opens it, stores, reads, writes down what was delivered, and
//! tidies up when there is nothing else to do.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use notify_core::{Error, ErrorKind, Outcome, Result};
use tokio::sync::{Notify, watch};

use crate::conclusion::{Conclusion, Tally};
use crate::config::{Config, CorruptSlotPolicy};
use crate::dir::{Dir, Slot};
use crate::error::{Trouble, shown};
use crate::keeper::{Accepted, Job, Stored};
use crate::ledger::Ledger;
use crate::record::Records;
use crate::status::{MessageTotals, SlotContents, Status};
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Owner {
    config: Config,
    ledger: Arc<Ledger>,
    slot: Option<Slot>,
    /// Open, unless the disk did not do what it was asked.
    store: Option<Store>,
    /// Where the store stood when it was last known to be good.
    next: Option<u64>,
    /// What the ledger has of this slot.
    pending: MessageTotals,
    /// What is to be written down, at the latest when `flush_at` comes.
    conclusions: Vec<Conclusion>,
    flush_at: Option<Instant>,
    /// When to look after what is not urgent.
    tidy_at: Option<Instant>,
    /// How large the file was when it was last made smaller.
    shrunk_to: u64,
    committed: Arc<Notify>,
    end: watch::Sender<bool>,
}

impl Owner {
    pub(crate) fn new(
        config: Config,
        ledger: Arc<Ledger>,
        slot: Option<Slot>,
        committed: Arc<Notify>,
        end: watch::Sender<bool>,
    ) -> Self {
        Self {
            config,
            ledger,
            slot,
            store: None,
            next: None,
            pending: MessageTotals::default(),
            conclusions: Vec::new(),
            flush_at: None,
            tidy_at: None,
            shrunk_to: 0,
            committed,
            end,
        }
    }

    /// Works until nobody is left to ask for anything.
    pub(crate) fn run(&mut self, inbox: &mpsc::Receiver<Job>) {
        loop {
            match self.wait(inbox) {
                Ok(job) => self.work(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            if self.flush_at.is_some_and(|at| at <= now) || self.conclusions.len() >= MANY {
                self.flush();
            }
            if self.tidy_at.is_some_and(|at| at <= now) {
                self.tidy();
            }
        }
        self.finish();
    }

    fn wait(&self, inbox: &mpsc::Receiver<Job>) -> Result<Job, mpsc::RecvTimeoutError> {
        match [self.flush_at, self.tidy_at].into_iter().flatten().min() {
            None => inbox.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
        }
    }

    fn work(&mut self, job: Job) {
        // Whoever asked may be gone.
        match job {
            Job::Accept { records, answer } => {
                let result = self.accept(&records);
                answer.send(Accepted { records, result }).ok();
            }
            Job::Read { from, bytes, answer } => {
                answer.send(self.read(from, bytes)).ok();
            }
            Job::Conclude(conclusion) => {
                self.conclusions.push(conclusion);
                self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_AFTER);
            }
        }
    }

    /// Stores as many of `records` as there is room for, in one transaction with what is to be
    /// written down.
    fn accept(&mut self, records: &Records) -> Result<Stored> {
        let Config { max_messages, max_bytes, .. } = self.config;
        let fitting = |SlotContents { pending, dead, .. }: SlotContents| {
            records.fitting(
                max_messages.saturating_sub(pending.messages + dead.messages),
                max_bytes.saturating_sub(pending.bytes + dead.bytes),
            )
        };
        let mut messages = fitting(self.open()?.contents());
        if messages < records.count() && !self.conclusions.is_empty() {
            self.flush();
            messages = fitting(self.open()?.contents());
        }
        let store = self.open()?.contents();
        let rest = (messages < records.count()).then(|| self.full(store));
        if messages > 0 {
            self.commit(records, messages)?;
        }
        Ok(Stored { messages, rest })
    }

    fn read(&mut self, from: u64, bytes: usize) -> Result<Vec<crate::store::Chunk>> {
        match self.open()?.read(from, bytes) {
            Ok(chunks) => Ok(chunks),
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    /// Writes down what was delivered, also when nothing comes to be stored with it.
    fn flush(&mut self) {
        self.flush_at = None;
        if self.conclusions.is_empty() {
            return;
        }
        let flushed = match self.open() {
            Ok(_) => self.commit(&Records::default(), 0),
            Err(error) => Err(error),
        };
        if let Err(error) = flushed {
            // It is delivered all the same. A restart before it is written down repeats it.
            tracing::debug!("the spool cannot write down what was delivered: {error:#}");
            self.flush_at = Some(Instant::now() + pause(&error));
        }
    }

    /// One transaction, and what follows from it.
    fn commit(&mut self, records: &Records, count: usize) -> Result<()> {
        let Some(store) = &mut self.store else { return Err(not_open()) };
        if let Err(trouble) = store.commit(records, count, &self.conclusions) {
            return Err(self.give_up(trouble).with_outcome(Outcome::Unknown));
        }
        self.next = Some(store.next());
        let stored = MessageTotals { messages: count as u64, bytes: records.bytes_of(count) };
        self.ledger.enter(stored);
        self.pending.messages += stored.messages;
        self.pending.bytes += stored.bytes;
        self.count_conclusions();
        self.tidy_at.get_or_insert_with(|| Instant::now() + TIDY_AFTER);
        if count > 0 {
            self.committed.notify_one();
        }
        Ok(())
    }

    fn count_conclusions(&mut self) {
        self.flush_at = None;
        for Conclusion { tally, .. } in self.conclusions.drain(..) {
            self.ledger.conclude(&tally);
            let Tally { delivered, refused, dropped, bytes } = tally;
            let pending = &mut self.pending;
            pending.messages = pending.messages.saturating_sub(delivered + refused + dropped);
            pending.bytes = pending.bytes.saturating_sub(bytes);
        }
    }

    /// The store, opened where it is not.
    fn open(&mut self) -> Result<&mut Store> {
        if self.store.is_none() {
            let store = match self.try_open()? {
                Ok(store) => store,
                Err(Trouble::Content(what))
                    if self.config.on_corrupt == CorruptSlotPolicy::Quarantine =>
                {
                    self.set_aside(&what)?;
                    self.try_open()?.map_err(|trouble| self.give_up(trouble))?
                }
                Err(trouble) => return Err(self.give_up(trouble)),
            };
            if self.next.is_none() {
                let found = store.contents().pending;
                self.ledger.enter(found);
                self.pending = found;
            }
            self.next = Some(store.next());
            self.store = Some(store);
            self.tidy_at = Some(Instant::now());
        }
        self.store.as_mut().ok_or_else(not_open)
    }

    fn try_open(&mut self) -> Result<Result<Store, Trouble>> {
        let slot = match &self.slot {
            Some(slot) => slot,
            None => self.slot.insert(Dir::open(&self.config.dir, true)?.lock_lowest()?),
        };
        let storage = slot.open(&*self.config.disk)?.map_err(Trouble::from);
        Ok(storage.and_then(|storage| Store::open(storage, self.next)))
    }

    /// Puts a file that cannot be read out of the way.
    fn set_aside(&mut self, what: &str) -> Result<()> {
        let Some(slot) = &self.slot else { return Err(not_open()) };
        let aside = slot.set_aside()?;
        tracing::warn!(
            "the spool starts afresh: what cannot be read is set aside as {}: {what}",
            shown(&aside)
        );
        // What was delivered was, whether or not it could be written down; the rest is in the file.
        self.count_conclusions();
        let MessageTotals { messages, bytes } = std::mem::take(&mut self.pending);
        self.ledger.conclude(&Tally { dropped: messages, bytes, ..Tally::default() });
        Ok(())
    }

    /// Closes the store after something went wrong: the next who wants something opens it anew.
    fn give_up(&mut self, trouble: Trouble) -> Error {
        self.store = None;
        trouble.about(&self.slot.as_ref().map_or_else(|| self.config.dir.clone(), Slot::path))
    }

    fn full(&self, contents: SlotContents) -> Error {
        let Config { max_bytes, max_messages, .. } = self.config;
        let dead = match contents.dead.messages {
            0 => String::new(),
            dead => format!(", {dead} of them dead letters"),
        };
        Error::new(
            ErrorKind::Full,
            format!(
                "the spool is full with {} messages{dead}: raise `spool.max_bytes` ({max_bytes}) \
                 or `spool.max_messages` ({max_messages}), or find out why nothing is forwarded",
                contents.pending.messages + contents.dead.messages
            ),
        )
    }

    /// Gives room back to the file system, and tells whoever looks from outside what there is.
    fn tidy(&mut self) {
        self.tidy_at = None;
        let Some(store) = &mut self.store else { return };
        let SlotContents { pending, dead, .. } = store.contents();
        let (used, file) = (pending.bytes + dead.bytes, store.file_bytes());
        let tidied = if used == 0 && file > SMALL && self.conclusions.is_empty() {
            // Opened again, the file is a new one.
            self.store.take().map_or(Ok(()), Store::close)
        } else if file > LARGE && used < file / 4 && file > self.shrunk_to {
            let shrunk = store.shrink();
            self.shrunk_to = store.file_bytes();
            shrunk
        } else {
            store.refresh_oldest()
        };
        if let Err(trouble) = tidied {
            let error = self.give_up(trouble);
            tracing::debug!("the spool could not be tidied up: {error:#}");
        }
        self.tell();
    }

    fn tell(&self) {
        let Some(slot) = &self.slot else { return };
        let contents = self.store.as_ref().map(Store::contents).unwrap_or_default();
        self.ledger.set_oldest(slot.number(), contents.oldest);
        slot.tell(&Status::ours(Some(contents)));
    }

    fn finish(&mut self) {
        self.flush();
        if let Some(store) = self.store.take()
            && let Err(trouble) = store.close()
        {
            let error = self.give_up(trouble);
            tracing::warn!("the spool was not closed cleanly: {error:#}");
        }
        self.slot = None;
        self.end.send_replace(true);
    }
}

/// How long to wait before trying something again that nobody waits for.
pub(crate) fn pause(error: &Error) -> Duration {
    if error.is_transient() { AGAIN_AFTER } else { MENDED_AFTER }
}

fn not_open() -> Error {
    Error::new(ErrorKind::Bug, "the spool is not open")
}

/// Long enough for a busy spool to write down what was delivered together with what comes next.
const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// Chunks of which is written down what became of them without further waiting.
const MANY: usize = 1024;
const TIDY_AFTER: Duration = Duration::from_secs(1);
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const MENDED_AFTER: Duration = Duration::from_secs(30);
/// An empty file that is not larger stays as it is.
const SMALL: u64 = 1024 * 1024;
/// A file that is not larger is not made smaller while something is in it.
const LARGE: u64 = 16 * 1024 * 1024;
