//! The archive behind a listener: stored, then acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use notify_archive::question::EventFilter;
use notify_archive::store::ArchiveBatch;
use notify_archive::{Archive, ArchiveWriter};
use notify_core::Result;
use notify_core::listener::{DeadLetters, Listener, ListenerConfig};
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Position, Reception,
    SettlementMode, Source, async_trait,
};

use crate::samples::day;
use crate::store::ALL;

/// Everything that a source delivers is in the archive before it is acknowledged, each notification once, and
/// unreadable messages beside it with their reasons. The time without the source is blind.
#[tokio::test]
async fn deliveries_are_stored_before_they_are_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines: VecDeque<String> = day().lines().map(str::to_owned).collect();
    // A redelivery, and a message that is none.
    lines.push_back(lines[7].clone());
    lines.push_back("not JSON".to_owned());
    let total = lines.len();
    let source = MemorySource { lines, first: 0, handed_over: 0, is_attached: false };
    let letters = DeadLetters::file(directory.path().join("dead.jsonl"));
    // The archive keeps unreadable messages itself.
    let mut config = ListenerConfig::default();
    config.deliver_unreadable = true;
    let mut listener = Listener::builder(source, letters).config(config).start().unwrap();
    let path = directory.path().join("archive");
    let mut writer = ArchiveWriter::open(&path).unwrap();
    let mut acknowledged = 0;
    while let Some(deliveries) = listener.next_batch(20, Duration::from_millis(50)).await.unwrap() {
        writer.record_coverage(&listener.take_coverage_changes()).unwrap();
        let mut batch = ArchiveBatch::default();
        deliveries.iter().for_each(|delivery| batch.add_delivery(delivery, Some("north")));
        writer.append(&batch).unwrap();
        acknowledged += deliveries.len();
        deliveries.ack().await.unwrap();
        let (dated, undated, unreadable) = Archive::open(&path).unwrap().counts().unwrap();
        // One of the messages is a copy.
        assert!(dated + undated + unreadable + 1 >= acknowledged as u64);
    }
    writer.record_coverage(&listener.take_coverage_changes()).unwrap();
    assert_eq!(acknowledged, total);
    let archive = Archive::open(&path).unwrap();
    let (dated, undated, unreadable) = archive.counts().unwrap();
    assert_eq!((dated + undated, unreadable), (101, 1));
    let mut regions = 0;
    archive
        .read(&EventFilter::default(), ALL, |record| {
            assert!(record.arrival.received_at.is_some());
            regions += usize::from(record.arrival.region.as_deref() == Some("north"));
        })
        .unwrap();
    assert_eq!(regions, 101);
    let now = time::OffsetDateTime::now_utc();
    let hour = now - time::Duration::HOUR..now + time::Duration::HOUR;
    let coverage = archive.coverage(Some(hour)).unwrap();
    assert_eq!(coverage[0].source, "lines");
    let reasons: Vec<_> = coverage[0].blind.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["not attached yet", "the source ended"]);
    assert_eq!(archive.verify().unwrap().problems, []);
}

/// A source that reads from a list in memory.
#[derive(Debug)]
struct MemorySource {
    lines: VecDeque<String>,
    /// The tag of the first line.
    first: u64,
    /// The number of lines that are handed over and not acknowledged.
    handed_over: usize,
    is_attached: bool,
}

#[async_trait]
impl Source for MemorySource {
    fn name(&self) -> &'static str {
        "lines"
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
        let next = self.lines.iter().enumerate().skip(self.handed_over).take(credit.room);
        let deliveries: Vec<_> = next
            .map(|(index, line)| {
                let tag = self.first + index as u64;
                let body = IncomingBody::Bytes(line.clone().into());
                IncomingDelivery::new(tag, body, Position::new("lines", tag))
            })
            .collect();
        self.handed_over += deliveries.len();
        Ok(if deliveries.is_empty() { Reception::End } else { Reception::Deliveries(deliveries) })
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        while settlements.through.is_some_and(|tag| self.first <= tag) {
            self.lines.pop_front();
            self.first += 1;
            self.handed_over -= 1;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
