//! What outlives a process: its disk, and the destination.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::{Batch, Error, ErrorKind, EventType, Result, Transport, Verdict};
use notify_spool::disk;
use notify_testbed::disk::FaultyDisk;
use redb::StorageBackend;
use uuid::Uuid;

/// The disk, as one process may use it.
#[derive(Debug)]
pub(crate) struct DiskOf {
    disk: FaultyDisk,
    process: u64,
}

impl DiskOf {
    pub(crate) fn the_process_that_now_lives(disk: &FaultyDisk) -> Arc<Self> {
        Arc::new(Self { disk: disk.clone(), process: disk.ended_processes() })
    }
}

impl disk::SpoolDisk for DiskOf {
    fn open(&self, number: u32, _: File) -> io::Result<Arc<dyn disk::SlotStorage>> {
        assert_eq!(number, 0, "there is one process at a time");
        if self.process != self.disk.ended_processes() {
            return Err(io::Error::other("this process is dead"));
        }
        Ok(Arc::new(SimulatedStorage(Box::new(self.disk.backend()))))
    }
}

#[derive(Debug)]
struct SimulatedStorage(Box<dyn StorageBackend>);

impl disk::SlotStorage for SimulatedStorage {
    fn size(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// What the destination does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Accept,
    Retry,
    Refuse,
    /// Takes it and does not say so.
    Swallow,
    Leave,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Fails,
    Stalls,
}

/// The destination. All clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destination(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What it does with the messages that come, in turn and for ever.
    pub(crate) acts: Vec<Act>,
    pub(crate) end: Option<End>,
    turn: usize,
    may_refuse: u64,
    /// The first offers of each run.
    pub(crate) offers: Vec<Vec<Uuid>>,
    /// Bodies, with their ids.
    pub(crate) taken: Vec<(Uuid, Vec<u8>)>,
    pub(crate) refused: HashSet<Uuid>,
}

impl Destination {
    pub(crate) fn that_refuses_at_most(messages: u64) -> Self {
        let destination = Self::default();
        destination.seen().may_refuse = messages;
        destination
    }

    /// The destination as the process that starts now sees it.
    pub(crate) fn connect(&self) -> Box<dyn Transport> {
        self.seen().offers.push(Vec::new());
        Box::new(self.clone())
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Destination {
    fn name(&self) -> &'static str {
        "destination"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let end = {
            let mut seen = self.seen();
            for message in batch.messages() {
                let offers = seen.offers.last_mut().unwrap();
                if !offers.contains(&message.id()) {
                    offers.push(message.id());
                }
            }
            seen.end.unwrap_or(End::Ok)
        };
        for (index, message) in batch.messages().iter().enumerate() {
            let mut seen = self.seen();
            let turn = seen.turn;
            seen.turn += 1;
            let act = match seen.acts.len() {
                0 => Act::Accept,
                acts => match seen.acts[turn % acts] {
                    Act::Refuse if seen.refused.len() as u64 >= seen.may_refuse => Act::Accept,
                    act => act,
                },
            };
            if matches!(act, Act::Accept | Act::Swallow) {
                seen.taken.push((message.id(), message.body().to_vec()));
            }
            if act == Act::Refuse {
                seen.refused.insert(message.id());
            }
            drop(seen);
            match act {
                Act::Accept => batch.settle(index, Verdict::Accept),
                Act::Retry => {
                    let error = Error::new(ErrorKind::Full, "told to push back");
                    batch.settle(index, Verdict::Retry(error));
                }
                Act::Refuse => {
                    let error = Error::new(ErrorKind::Rejected, "told to refuse");
                    batch.settle(index, Verdict::Refuse(error));
                }
                Act::Swallow | Act::Leave => {}
            }
        }
        match end {
            End::Ok if batch.unsettled().next().is_none() => Ok(()),
            End::Ok | End::Fails => Err(Error::new(ErrorKind::Unavailable, "told to fail")),
            End::Stalls => std::future::pending().await,
        }
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
