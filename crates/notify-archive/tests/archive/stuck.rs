//! The report of missing outcomes against a naive computation over the raw events.

use std::collections::BTreeMap;

use notify_archive::EventRecord;
use notify_archive::question::{StuckKind, StuckReport};
use notify_archive::record::RecordReader;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Kind, begin, name, owner and related failures of everything that is stuck are those that a look at the
    /// sequence of letters of each life finds, in any order of the records and for any age.
    #[test]
    fn missing_outcomes_equal_a_naive_computation(
        events in events(),
        until in 0_i64..120,
        older_than in 0_i64..60,
        reversed in any::<bool>(),
    ) {
        let now = at(until);
        let mut records: Vec<_> = events
            .iter()
            .enumerate()
            .filter(|(_, event)| event.minute < until)
            .map(|(number, event)| event.record(number))
            .collect();
        if reversed {
            records.reverse();
        }
        let mut report = StuckReport::default();
        for record in &records {
            report.add(record);
        }
        let found: BTreeMap<_, _> = report
            .finish(now, Duration::minutes(older_than))
            .into_iter()
            .map(|item| {
                let facts = (item.name, item.owner, item.possibly_related_failures);
                (item.id, (item.kind, item.since, facts))
            })
            .collect();
        let mut expected = BTreeMap::new();
        for subject in 0..SUBJECTS {
            let life: Vec<_> = events
                .iter()
                .filter(|event| event.minute < until && event.subject == Some(subject))
                .collect();
            let Some((kind, since)) = naive_state(&life) else { continue };
            if until - since.minute < older_than {
                continue;
            }
            let related = events.iter().filter(|event| {
                event.subject.is_none()
                    && event.minute < until
                    && event.minute >= since.minute
                    && event.host == since.host
                    && kind == StuckKind::PrepareWithoutUpload
            });
            // A download shows no state of its image.
            let named =
                life.iter().rev().find(|event| event.has_facts() && event.kind.0 != "image.send");
            let owner = named.map(|event| format!("owner-{}", event.host));
            let name = named.filter(|event| !event.is_task()).map(|event| format!("n{}", event.minute));
            let facts = (name, owner, related.count());
            expected.insert(id_of(subject), (kind, at(since.minute), facts));
        }
        prop_assert_eq!(found, expected);
    }
}

/// An outcome in one region hides no missing outcome of the same id in another.
#[test]
fn an_outcome_in_another_region_is_none() {
    let events = [
        ("north", ("image.prepare", "INFO", "saving")),
        ("south", ("image.update", "INFO", "active")),
        ("south", ("image.delete", "INFO", "deleted")),
    ];
    for (north, expected) in [(Some("north"), 1), (Some("south"), 0), (None, 0)] {
        let mut report = StuckReport::default();
        for (number, (region, kind)) in events.into_iter().enumerate() {
            let minute = i64::try_from(number).unwrap();
            let event = GeneratedEvent { minute, subject: Some(0), host: 0, kind };
            let mut record = event.record(number);
            let region = if region == "north" { north } else { Some(region) };
            record.arrival.region = region.map(Into::into);
            report.add(&record);
        }
        let items = report.finish(at(90), Duration::HOUR);
        assert_eq!(items.len(), expected, "{north:?}");
        assert!(items.iter().all(|item| item.region.as_deref() == north), "{items:?}");
    }
}

/// One random event.
#[derive(Clone, Debug)]
struct GeneratedEvent {
    minute: i64,
    /// Even subjects are images and odd ones are tasks. `None` is a failed upload whose text names no image.
    subject: Option<u8>,
    host: u8,
    kind: (&'static str, &'static str, &'static str),
}

impl GeneratedEvent {
    fn is_task(&self) -> bool {
        self.kind.0.starts_with("task.")
    }

    /// Returns `true` if the payload is an object with facts, and not a text.
    fn has_facts(&self) -> bool {
        self.kind.1 == "INFO"
    }

    fn record(&self, number: usize) -> EventRecord {
        let (event_type, priority, status) = self.kind;
        let id = self.subject.map(id_of);
        let owner = format!("owner-{}", self.host);
        let payload = match (&id, self.has_facts()) {
            (None, _) => Value::String("Image storage media is full".into()),
            (Some(id), false) => Value::String(format!("Cannot save data for image {id}")),
            (Some(id), true) if self.is_task() => {
                json!({"task_id": id, "owner": owner, "status": status, "type": "import"})
            }
            (Some(id), true) => {
                json!({"id": id, "owner": owner, "status": status, "name": format!("n{}", self.minute)})
            }
        };
        let time = at(self.minute);
        let line = json!({"message_id": format!("00000000-0000-4000-9000-{number:012x}"),
            "publisher_id": format!("image.h{}", self.host), "event_type": event_type, "priority": priority,
            "timestamp": format!("{} {:02}:{:02}:00", time.date(), time.hour(), time.minute()),
            "payload": payload});
        RecordReader::new("test").read(line.to_string().as_bytes()).unwrap()
    }
}

/// Returns the kind of a missing outcome and the event since which it is missing.
///
/// Each event is a letter: `P`repare, `U`pload without the status `active`, `I`mporting, `S`aving, pending
/// `D`elete, and `.` for an outcome.
fn naive_state<'a>(life: &[&'a GeneratedEvent]) -> Option<(StuckKind, &'a GeneratedEvent)> {
    if life.first()?.is_task() {
        let is_end = |event: &&&GeneratedEvent| {
            matches!(event.kind.0, "task.success" | "task.failure" | "task.delete")
        };
        if life.iter().any(|event| is_end(&event)) {
            return None;
        }
        let begin = life.iter().rev().find(|event| event.kind.0 != "task.update")?;
        return Some((StuckKind::TaskWithoutEnd, begin));
    }
    let mut letters = Vec::new();
    for event in life {
        let letter = match event.kind {
            ("image.delete", "INFO", "deleted") => return None,
            ("image.delete", "INFO", _) | ("image.update", _, "pending_delete") => 'D',
            ("image.prepare", "INFO", _) => 'P',
            ("image.upload", "INFO", status) if status != "active" => 'U',
            ("image.update", _, "importing" | "uploading") => 'I',
            ("image.update", _, "saving") => 'S',
            ("image.upload" | "image.activate" | "image.create", ..)
            | ("image.update", _, "active" | "queued" | "killed") => '.',
            // A download and a failed deletion say nothing.
            _ => continue,
        };
        letters.push((letter, *event));
    }
    let is_step = |letter: &char| matches!(letter, 'I' | 'S');
    let run = letters.iter().rev().take_while(|(letter, _)| is_step(letter)).count();
    let (before, steps) = letters.split_at(letters.len() - run);
    let steps = match before.last() {
        Some(('P', event)) => return Some((StuckKind::PrepareWithoutUpload, event)),
        Some(('U', event)) => {
            let saving = steps.iter().take_while(|(letter, _)| *letter == 'S').count();
            if saving == steps.len() {
                return Some((StuckKind::UploadWithoutActivate, event));
            }
            &steps[saving..]
        }
        Some(('D', event)) if steps.is_empty() => return Some((StuckKind::PendingDelete, event)),
        _ => steps,
    };
    match steps.iter().find(|(letter, _)| *letter == 'S') {
        Some((_, event)) => Some((StuckKind::PrepareWithoutUpload, event)),
        None => steps.last().map(|(_, event)| (StuckKind::Importing, *event)),
    }
}

/// Returns events of a few images and tasks, each at a minute of its own.
fn events() -> impl Strategy<Value = Vec<GeneratedEvent>> {
    let kinds = (prop::sample::select(&IMAGE_KINDS[..]), prop::sample::select(&TASK_KINDS[..]));
    let event = (prop::option::weighted(0.9, 0..SUBJECTS), 0_u8..2, kinds);
    let events = prop::collection::vec((event, 0_i64..4), 0..50);
    events.prop_map(|events| {
        let mut minute = 0;
        let event = |((subject, host, (image, task)), pause)| {
            minute += 1 + pause;
            let kind = match subject {
                None => ("image.upload", "ERROR", ""),
                Some(subject) if subject % 2 == 1 => task,
                Some(_) => image,
            };
            GeneratedEvent { minute, subject, host, kind }
        };
        events.into_iter().map(event).collect()
    })
}

fn at(minute: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_798_588_800 + minute * 60).unwrap()
}

fn id_of(subject: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{subject:02x}")
}

const SUBJECTS: u8 = 6;

/// Event types with their priorities and the status of the image.
const IMAGE_KINDS: [(&str, &str, &str); 17] = [
    ("image.create", "INFO", "queued"),
    ("image.prepare", "INFO", "saving"),
    ("image.prepare", "INFO", "queued"),
    ("image.upload", "INFO", "saving"),
    ("image.upload", "INFO", "active"),
    ("image.upload", "ERROR", ""),
    ("image.activate", "INFO", "active"),
    ("image.update", "INFO", "active"),
    ("image.update", "INFO", "importing"),
    ("image.update", "INFO", "uploading"),
    ("image.update", "INFO", "saving"),
    ("image.update", "INFO", "pending_delete"),
    ("image.update", "INFO", "killed"),
    ("image.send", "INFO", "active"),
    ("image.delete", "INFO", "deleted"),
    ("image.delete", "INFO", "pending_delete"),
    ("image.delete", "ERROR", ""),
];

/// The same of tasks.
const TASK_KINDS: [(&str, &str, &str); 7] = [
    ("task.create", "INFO", "pending"),
    ("task.run", "INFO", "processing"),
    ("task.processing", "INFO", "processing"),
    ("task.update", "INFO", "processing"),
    ("task.success", "INFO", "success"),
    ("task.failure", "INFO", "failure"),
    ("task.delete", "INFO", "success"),
];
