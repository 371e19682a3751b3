//! One notification as one line for people.
//!
//! ```text
//! 2026-11-24 12:00:00Z  INFO   image.activate       c80a1a6c  debian-12  of web, 427.0 MiB, active, +19.2s
//! ```
//!
//! The time since the last event of the same image or task stands at the end, if `listen` has seen one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use glance_notify::time::OffsetDateTime;
use glance_notify::transport::printable;
use glance_notify_cli::units::{short_bytes, short_duration};
use notify_archive::question::{Calendar, ProjectNames};
use notify_archive::record::EventRecord;

use crate::console::{Stream, Tone, paint};

/// Writes lines, and remembers when the images and tasks were seen last.
pub(crate) struct LineWriter {
    calendar: Calendar,
    names: ProjectNames,
    /// Whether lines name their source, because there are several.
    with_source: bool,
    last_seen: LastSeen,
}

/// The times of the last events, by image or task. Bounded.
#[derive(Default)]
struct LastSeen {
    times: HashMap<Arc<str>, OffsetDateTime>,
    /// The subjects in the order in which they came first.
    order: VecDeque<Arc<str>>,
}

impl LineWriter {
    /// Creates a writer for times in the zone of `calendar` and projects with `names`.
    pub(super) fn new(calendar: Calendar, names: ProjectNames, with_source: bool) -> Self {
        Self { calendar, names, with_source, last_seen: LastSeen::default() }
    }

    /// Returns the line of a notification, escaped and without a line end.
    pub(super) fn line(&mut self, record: &EventRecord) -> String {
        let since = record.subject.as_ref().and_then(|subject| {
            let last = self.last_seen.replace(subject, record.timestamp)?;
            (record.timestamp >= last).then(|| short_duration(record.timestamp - last))
        });
        let priority = format!("{:<5}", record.priority.as_str());
        let priority = paint(Stream::Stdout, Tone::of_priority(record.priority), priority);
        let id = record.subject.as_deref().map_or_else(|| "-".to_owned(), short_id);
        let time = self.calendar.shown(record.timestamp);
        let event_type = safe(record.event_type.as_str());
        let mut line = format!("{time}  {priority}  {event_type:<19}  {id:<8}");
        let words = [record.name.as_deref().map(safe), Some(self.details(record, since))];
        for word in words.into_iter().flatten().filter(|word| !word.is_empty()) {
            line.push_str("  ");
            line.push_str(&word);
        }
        line
    }

    /// Returns the facts behind the name, separated by commas.
    fn details(&self, record: &EventRecord, since: Option<String>) -> String {
        let project = |prefix: &str, id: &Option<Arc<str>>| {
            id.as_deref().map(|id| format!("{prefix} {}", safe(self.names.shown(id))))
        };
        let bytes = |suffix: &str, bytes: Option<u64>| {
            bytes.map(|bytes| format!("{}{suffix}", short_bytes(bytes.into())))
        };
        let source = record.arrival.region.as_ref().or(record.arrival.source.as_ref());
        let details = [
            project("of", &record.owner),
            bytes("", record.size),
            bytes(" sent", record.bytes_sent),
            project("to", &record.receiver),
            record.status.as_deref().map(safe),
            error_text(record),
            record.context.user().map(|user| format!("by {}", safe(user))),
            record.context.request_id().map(safe),
            record.sequence.as_ref().map(|sequence| format!("no. {}", sequence.number())),
            since,
            source.filter(|_| self.with_source).map(|source| format!("[{}]", safe(source))),
        ];
        details.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Returns the text of a warning or an error.
fn error_text(record: &EventRecord) -> Option<String> {
    // Only these have a text in place of a payload.
    let has_text = Tone::of_priority(record.priority).is_some();
    Some(safe(&has_text.then(|| record.message_text())??))
}

impl LastSeen {
    /// Sets the time of a subject's last event, and returns the time of the one before.
    fn replace(&mut self, subject: &Arc<str>, time: OffsetDateTime) -> Option<OffsetDateTime> {
        let last = self.times.insert(Arc::clone(subject), time);
        if last.is_none() {
            self.order.push_back(Arc::clone(subject));
            if self.order.len() > MOST_SUBJECTS
                && let Some(oldest) = self.order.pop_front()
            {
                self.times.remove(&oldest);
            }
        }
        last
    }
}

/// Returns the first block of a UUID, or the beginning of another id.
fn short_id(id: &str) -> String {
    printable(id.split('-').next().unwrap_or(id), ID_CHARS).to_string()
}

/// Returns a text from outside as it may be shown.
fn safe(text: &str) -> String {
    printable(text, LONGEST_TEXT).to_string()
}

/// The number of images and tasks whose last event is remembered.
const MOST_SUBJECTS: usize = 10_000;
/// The longest id that is shown, in characters.
const ID_CHARS: usize = 12;
/// The longest text from outside that is shown, in characters.
const LONGEST_TEXT: usize = 200;

#[cfg(test)]
mod tests {
    use notify_archive::record::RecordReader;

    use super::*;

    fn lines(inputs: &[&str], with_source: bool) -> Vec<String> {
        let names = ProjectNames::from_json(br#"[{"ID": "p1", "Name": "web"}]"#).unwrap();
        let mut writer = LineWriter::new(Calendar::utc(), names, with_source);
        let reader = RecordReader::new("north");
        inputs.iter().map(|input| writer.line(&reader.read(input.as_bytes()).unwrap())).collect()
    }

    fn event(id: &str, second: u32, event_type: &str, priority: &str, payload: &str) -> String {
        format!(
            "{{\"message_id\":\"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c{id}\",\"publisher_id\":\"h\",\
             \"event_type\":\"{event_type}\",\"priority\":\"{priority}\",\"payload\":{payload},\
             \"timestamp\":\"2026-11-24 12:00:{second:02}.000000\"}}"
        )
    }

    /// A line has the facts that are known, in one order, and the time since the image's last event.
    #[test]
    fn a_line_has_every_known_fact() {
        let image = |status: &str| {
            format!(
                "{{\"id\":\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\",\"name\":\"debian\\u001b-12\",\
                 \"owner\":\"p1\",\"status\":\"{status}\",\"size\":447741952}}"
            )
        };
        let sent = "{\"image_id\":\"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d\",\"bytes_sent\":512,\
                    \"owner_id\":\"p1\",\"receiver_tenant_id\":\"p2\"}";
        let inputs = [
            event("11", 0, "image.upload", "INFO", &image("saving")),
            event("12", 19, "image.activate", "INFO", &image("active")),
            event("13", 50, "image.send", "INFO", sent),
            event("14", 51, "image.upload", "ERROR", "\"storage media is full\""),
        ];
        let inputs: Vec<_> = inputs.iter().map(String::as_str).collect();
        assert_eq!(
            lines(&inputs, false),
            [
                "2026-11-24T12:00:00Z  INFO   image.upload         c80a1a6c  debian\\u{1b}-12  of web, \
                 427.0 MiB, saving",
                "2026-11-24T12:00:19Z  INFO   image.activate       c80a1a6c  debian\\u{1b}-12  of web, \
                 427.0 MiB, active, +19.0s",
                "2026-11-24T12:00:50Z  INFO   image.send           c80a1a6c  of web, 512 B sent, to p2, \
                 +31.0s",
                "2026-11-24T12:00:51Z  ERROR  image.upload         -         storage media is full",
            ]
        );
        assert!(lines(&inputs[..1], true)[0].ends_with("saving, [north]"));
    }

    /// Half a surrogate pair, as Python writes a byte that is not UTF-8, hides no text of an error.
    #[test]
    fn half_a_surrogate_pair_hides_no_text() {
        let failed = r#""no room: /var/lib/caf\udce9""#;
        let input = event("11", 0, "image.upload", "ERROR", failed);
        let shown = lines(&[input.as_str()], false);
        assert!(shown[0].ends_with("  no room: /var/lib/caf\u{fffd}"), "{shown:?}");
    }

    /// The memory for the times of the last events is bounded.
    #[test]
    fn the_memory_of_images_is_bounded() {
        let mut last_seen = LastSeen::default();
        let time = OffsetDateTime::UNIX_EPOCH;
        for number in 0..2 * MOST_SUBJECTS {
            assert_eq!(last_seen.replace(&number.to_string().into(), time), None);
        }
        assert_eq!((last_seen.times.len(), last_seen.order.len()), (MOST_SUBJECTS, MOST_SUBJECTS));
    }
}
