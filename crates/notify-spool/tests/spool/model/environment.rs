//! The environment of the simulated processes: their disk and their destination.
//!
//! Both outlive every process, so that the test can compare them at the end.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::transport::Lanes;
use notify_core::{Batch, Error, ErrorKind, EventType, Message, Result, Transport, Verdict};
use notify_spool::admin;
use notify_spool::disk::{SlotStorage, SpoolDisk};
use notify_testbed::disk::FaultyDisk;
use redb::StorageBackend;
use uuid::Uuid;

use super::model_message::{MessageParts, parts};
use crate::support::pending_in;

/// The simulated files, by the inode of the real file that has their name.
pub(crate) type SimulatedFiles = Arc<Mutex<HashMap<u64, u32>>>;

/// Returns the pending messages on the simulated disk, in a directory that no process uses.
pub(crate) fn pending_on(disk: &FaultyDisk, files: &SimulatedFiles, dir: &Path) -> Vec<Message> {
    for number in admin::slot_numbers(dir).unwrap_or_default() {
        let path = dir.join(format!("slot-{number}.redb"));
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let files = files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = files.get(&metadata.ino()) else { continue };
        std::fs::write(&path, disk.content_of(*file)).unwrap();
    }
    if dir.exists() { pending_in(dir) } else { Vec::new() }
}

/// The disk as one process sees it. After the process has ended, it opens nothing more.
#[derive(Debug)]
pub(crate) struct ProcessDisk {
    disk: FaultyDisk,
    files: SimulatedFiles,
    /// The number of processes that ended before this one started.
    process: u64,
}

impl ProcessDisk {
    /// Returns `disk` for the process that runs now.
    pub(crate) fn of_current_process(disk: &FaultyDisk) -> Arc<Self> {
        Self::with_files(disk, SimulatedFiles::default())
    }

    /// Returns `disk` for the process that runs now, with the files of earlier processes.
    pub(crate) fn with_files(disk: &FaultyDisk, files: SimulatedFiles) -> Arc<Self> {
        Arc::new(Self { disk: disk.clone(), files, process: disk.ended_processes() })
    }
}

impl SpoolDisk for ProcessDisk {
    fn open(&self, number: u32, file: File) -> io::Result<Arc<dyn SlotStorage>> {
        if self.process != self.disk.ended_processes() {
            return Err(io::Error::other("this process has ended"));
        }
        let inode = file.metadata()?.ino();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that was quarantined has left its number to a new one.
        let next = if files.values().any(|it| *it == number) { 1000 + files.len() } else { 0 };
        let next = if next == 0 { number } else { u32::try_from(next).unwrap_or(u32::MAX) };
        let simulated = *files.entry(inode).or_insert(next);
        Ok(Arc::new(SimulatedStorage(Box::new(self.disk.backend_of(simulated)), file)))
    }
}

/// The storage of a slot on the simulated disk. The real file has no content, but it is empty when the
/// simulated one is, and otherwise gets another size with each change, because the search for orphans
/// looks at that.
#[derive(Debug)]
struct SimulatedStorage(Box<dyn StorageBackend>, File);

impl SimulatedStorage {
    /// Changes the size of the real file, after the simulated one got `len` bytes or more.
    fn note_change(&self, len: u64) -> io::Result<()> {
        let changes = CHANGES.fetch_add(1, Ordering::Relaxed);
        self.1.set_len(if len == 0 { 0 } else { changes + 1 })
    }
}

/// The number of changes of all simulated files.
static CHANGES: AtomicU64 = AtomicU64::new(0);

impl SlotStorage for SimulatedStorage {
    fn size(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)?;
        self.note_change(1)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.note_change(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The action of the destination on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DestinationAction {
    /// Stores the message and accepts it.
    Accept,
    /// Asks for another attempt.
    Retry,
    /// Refuses the message for good.
    Refuse,
    /// Stores the message without a verdict, as when a confirm is lost.
    StoreUnsettled,
    /// Neither stores nor settles the message.
    LeaveUnsettled,
}

/// The end of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendEnd {
    /// The attempt succeeds if every message has a verdict.
    Ok,
    /// The attempt returns an error.
    Fails,
    /// The attempt never returns.
    Stalls,
}

/// A fault of one lane of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneFault {
    /// The destination asks for another attempt of each message.
    Declines,
    /// The destination answers for no message of the lane.
    Silent,
}

/// Returns the lanes of the destination.
pub(crate) fn lanes() -> Lanes {
    let names = (0..LANES).map(|lane| format!("lane {lane}"));
    Lanes::by(names, |message| lane_of(message.id())).unwrap()
}

/// Returns the lane of the message with an id.
pub(crate) fn lane_of(id: Uuid) -> usize {
    usize::try_from(id.as_u64_pair().1 % LANES as u64).unwrap()
}

/// The number of lanes.
pub(crate) const LANES: usize = 3;

/// A destination that all processes share. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedDestination(Arc<Mutex<SpoolDestination>>);

/// The behaviour of the destination, and the messages that it got.
#[derive(Debug, Default)]
pub(crate) struct SpoolDestination {
    /// The actions on the messages to come, in turn and from the start again.
    pub(crate) actions: Vec<DestinationAction>,
    /// The end of the attempts to come; `None` is [`SendEnd::Ok`].
    pub(crate) end: Option<SendEnd>,
    /// The faults of the lanes.
    pub(crate) lane_faults: [Option<LaneFault>; LANES],
    /// The number of messages so far, which selects the next action.
    turn: usize,
    /// The largest number of messages to refuse.
    max_refused: u64,
    /// The ids of each process's messages, in the order of their first attempts.
    pub(crate) first_attempts: Vec<Vec<Uuid>>,
    /// The ids and parts of all stored messages, duplicates included.
    pub(crate) stored: Vec<(Uuid, MessageParts)>,
    pub(crate) refused: HashSet<Uuid>,
    /// The ids of the messages that a spool declined because their lane fails. Later ones of the lane may pass
    /// them.
    pub(crate) declined_by_spool: HashSet<Uuid>,
}

impl SimulatedDestination {
    /// Returns a destination that refuses at most `messages` messages.
    pub(crate) fn with_max_refused(messages: u64) -> Self {
        let destination = Self::default();
        destination.state().max_refused = messages;
        destination
    }

    /// Returns the transport of a process that starts now.
    pub(crate) fn connect(&self) -> Box<dyn Transport> {
        self.state().first_attempts.push(Vec::new());
        Box::new(self.clone())
    }

    /// Locks the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, SpoolDestination> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpoolDestination {
    /// Returns the action on the next message.
    fn next_action(&mut self) -> DestinationAction {
        let turn = self.turn;
        self.turn += 1;
        match self.actions.len() {
            0 => DestinationAction::Accept,
            count => match self.actions[turn % count] {
                DestinationAction::Refuse if self.refused.len() as u64 >= self.max_refused => {
                    DestinationAction::Accept
                }
                action => action,
            },
        }
    }
}

#[async_trait]
impl Transport for SimulatedDestination {
    fn name(&self) -> &'static str {
        "destination"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    fn lanes(&self) -> Lanes {
        lanes()
    }

    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(self.clone()))
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let mut is_silent = false;
        let end = {
            let mut state = self.state();
            for message in batch.messages() {
                let attempts = state.first_attempts.last_mut().unwrap();
                if !attempts.contains(&message.id()) {
                    attempts.push(message.id());
                }
            }
            state.end.unwrap_or(SendEnd::Ok)
        };
        for (index, message) in batch.messages().iter().enumerate() {
            let mut state = self.state();
            let action = match state.lane_faults[lane_of(message.id())] {
                None => state.next_action(),
                Some(LaneFault::Declines) => DestinationAction::Retry,
                Some(LaneFault::Silent) => {
                    is_silent = true;
                    DestinationAction::LeaveUnsettled
                }
            };
            if matches!(action, DestinationAction::Accept | DestinationAction::StoreUnsettled) {
                state.stored.push((message.id(), parts(message)));
            }
            if action == DestinationAction::Refuse {
                state.refused.insert(message.id());
            }
            drop(state);
            match action {
                DestinationAction::Accept => batch.settle(index, Verdict::Accept),
                DestinationAction::Retry => {
                    let error = Error::new(ErrorKind::Full, "simulated: queue full");
                    batch.settle(index, Verdict::Retry(error));
                }
                DestinationAction::Refuse => {
                    let error = Error::new(ErrorKind::Rejected, "simulated: rejected");
                    batch.settle(index, Verdict::Refuse(error));
                }
                DestinationAction::StoreUnsettled | DestinationAction::LeaveUnsettled => {}
            }
        }
        if is_silent {
            return Err(Error::new(ErrorKind::Timeout, "simulated: no answer"));
        }
        match end {
            SendEnd::Ok if batch.unsettled().next().is_none() => Ok(()),
            SendEnd::Ok | SendEnd::Fails => {
                Err(Error::new(ErrorKind::Unavailable, "simulated: unreachable"))
            }
            SendEnd::Stalls => std::future::pending().await,
        }
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
