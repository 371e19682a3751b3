//! The way from a listener into the archive: its deliveries, and the changes of its sources' coverage.

use notify_core::listener::{CoverageChange, Delivery, SourceState};

use super::archive_batch::{ArchiveBatch, UnreadableContent};
use super::archive_writer::ArchiveWriter;
use crate::error::Result;
use crate::record::event_record::{Arrival, EventRecord};

impl ArchiveBatch {
    /// Adds a delivery of a listener, from a source of `region`.
    ///
    /// Set [`ListenerConfig::deliver_unreadable`](notify_core::listener::ListenerConfig), so that the archive
    /// keeps unreadable messages too. Acknowledge the delivery after [`ArchiveWriter::append`] has stored the batch, and not before.
    ///
    /// # Examples
    ///
    /// The whole loop of an archive. `append` waits for the disk: a service calls it on a thread of its own.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use notify_archive::ArchiveWriter;
    /// use notify_archive::store::ArchiveBatch;
    /// use notify_core::listener::Listener;
    ///
    /// async fn fill(
    ///     listener: &mut Listener,
    ///     writer: &mut ArchiveWriter,
    /// ) -> Result<(), Box<dyn std::error::Error>> {
    ///     while let Some(deliveries) = listener.next_batch(500, Duration::from_millis(200)).await? {
    ///         writer.record_coverage(&listener.take_coverage_changes())?;
    ///         let mut batch = ArchiveBatch::default();
    ///         deliveries.iter().for_each(|delivery| batch.add_delivery(delivery, None));
    ///         match writer.append(&batch) {
    ///             Ok(_) => deliveries.ack().await?,
    ///             Err(error) => deliveries.fail(error.to_string()).await?,
    ///         };
    ///     }
    ///     Ok(())
    /// }
    /// # drop(fill);
    /// ```
    pub fn add_delivery(&mut self, delivery: &Delivery, region: Option<&str>) {
        let arrival = Arrival {
            received_at: Some(delivery.received_at()),
            source: Some(delivery.source().into()),
            region: region.map(Into::into),
        };
        if let Some(record) = EventRecord::from_delivery(delivery, arrival) {
            self.records.push(record);
            return;
        }
        let (reason, length, content) = if let Some(unreadable) = delivery.unreadable() {
            (unreadable.reason.to_string(), unreadable.size, unreadable.bytes.to_vec())
        } else {
            let body = delivery.message().map_or(&[][..], |message| message.body());
            ("the message is no notification".to_owned(), body.len() as u64, body.to_vec())
        };
        self.unreadable.push(UnreadableContent {
            source: delivery.source().to_owned(),
            received_at: delivery.received_at(),
            reason,
            length,
            content,
            sequence: delivery.sequence().cloned(),
        });
    }
}

impl ArchiveWriter {
    /// Records changes of a listener's coverage, in their order.
    ///
    /// # Errors
    ///
    /// Returns an error if the control file cannot be written. Record the same changes again.
    pub fn record_coverage(&mut self, changes: &[CoverageChange]) -> Result<()> {
        for change in changes {
            match &change.state {
                SourceState::Connecting => {}
                SourceState::Attached { since } => self.attach(&change.source, *since)?,
                SourceState::Detached { since, reason } => {
                    self.detach(&change.source, *since, reason)?;
                }
                SourceState::Ended => self.detach(&change.source, change.at, "the source ended")?,
                _ => self.detach(&change.source, change.at, "the archive stopped")?,
            }
        }
        Ok(())
    }
}
