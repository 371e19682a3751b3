//! The selection of a session: [`SessionFilter`], which learns the ids of images and stays small.

use notify_archive::question::EventFilter;
use notify_archive::record::EventRecord;

/// The filter of a session. It learns the ids of images by their names, and forgets the oldest of too many.
pub(super) struct SessionFilter {
    filter: EventFilter,
    /// The number of images that the filter had before it learned any.
    named_images: usize,
}

impl SessionFilter {
    /// Creates the filter of a session that has learned no image yet.
    pub(super) fn new(filter: EventFilter) -> Self {
        Self { named_images: filter.images.len(), filter }
    }

    /// Learns from a record, and returns whether the filter accepts it.
    pub(super) fn accepts(&mut self, record: &EventRecord) -> bool {
        self.filter.learn(record);
        if self.filter.images.len() > self.named_images + MOST_LEARNED {
            self.filter.images.remove(self.named_images);
        }
        self.filter.accepts(record)
    }
}

/// The number of ids of images that a filter learns by their names. A stream has no end.
const MOST_LEARNED: usize = 10_000;

#[cfg(test)]
mod tests {
    use notify_archive::record::RecordReader;

    use super::*;

    /// A name that ever more images have does not fill the memory, and the names of the operator stay.
    #[test]
    fn a_filter_forgets_the_oldest_id_that_it_learned() {
        let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"h",
            "event_type":"image.create","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
            "payload":{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","name":"debian-12"}}"#;
        let mut record = RecordReader::new("north").read(line).unwrap();
        let named = ["debian-11", "debian-12"].map(str::to_owned);
        let filter = EventFilter { images: named.to_vec(), ..EventFilter::default() };
        let mut session = SessionFilter::new(filter);
        let learned = (0..MOST_LEARNED - 1).map(|number| number.to_string());
        session.filter.images.extend(learned);
        for id in ["newer", "newest", "newest"] {
            record.subject = Some(id.into());
            session.accepts(&record);
        }
        let images = &session.filter.images;
        assert_eq!(images.len(), named.len() + MOST_LEARNED);
        // The filter learned 9 999 ids before, and forgot the first.
        assert_eq!(images[..3], ["debian-11", "debian-12", "1"]);
        assert_eq!(images[images.len() - 2..], ["newer", "newest"]);
    }
}
