//! The audited requests about one image: [`ImageRequests`] finds those near an event.
//!
//! It must not decide who acted: [`AuditTrail`](super::actor::AuditTrail) does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use notify_core::EventType;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::record::audit_facts::{AuditFacts, RequestEffect};
use crate::record::event_record::EventRecord;

/// The audited requests about one image.
///
/// Any user can send requests about any image. A search for an event therefore looks only at successful requests, with
/// the effect of that event, near its time.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageRequests {
    requests: Vec<AuditedRequest>,
    /// The places of the requests in `requests`, by audit id.
    places: HashMap<String, usize>,
    /// The successful requests, by their effect and their user.
    users: HashMap<RequestEffect, HashMap<String, UserRequests>>,
    /// The number of requests at which searches looked.
    #[cfg(test)]
    looks: std::cell::Cell<usize>,
}

/// A request that keystonemiddleware audited.
#[derive(Clone, Debug)]
pub(crate) struct AuditedRequest {
    /// The facts of its first audit event.
    facts: AuditFacts,
    /// The time of its first audit event.
    start: OffsetDateTime,
    /// The id of its first audit event.
    message_id: Uuid,
    /// The time of the response, if it was seen.
    end: Option<OffsetDateTime>,
    is_success: bool,
}

/// The starts and places of a user's requests, by the class of their durations.
///
/// A search in one class goes back by the longest duration of that class. One long request thus makes no search among
/// short ones longer.
type UserRequests = BTreeMap<u32, BTreeSet<(OffsetDateTime, usize)>>;

impl ImageRequests {
    /// Takes an audit event about the image, in any order. Both events of a request have the same audit id.
    pub(crate) fn add(&mut self, record: &EventRecord, facts: AuditFacts) {
        let is_response = record.event_type.as_str() == RESPONSE;
        let is_success = facts.outcome == "success";
        let known = facts.id.as_ref().and_then(|id| self.places.get(id)).copied();
        let place = known.unwrap_or(self.requests.len());
        if known.is_some() {
            self.remove_from_index(place);
            self.requests[place].begin(record, facts);
        } else {
            self.places.extend(facts.id.clone().map(|id| (id, place)));
            self.requests.push(AuditedRequest::new(record, facts));
        }
        if is_response {
            self.requests[place].end(record.timestamp, is_success);
        }
        self.add_to_index(place);
    }

    /// Returns the successful requests that can have caused an event, the nearest in time first.
    ///
    /// Of each user it returns the nearest request only.
    pub(crate) fn nearest(&self, record: &EventRecord) -> Vec<&AuditedRequest> {
        let effect = RequestEffect::of_event(&record.event_type);
        let Some(users) = effect.and_then(|effect| self.users.get(&effect)) else {
            return Vec::new();
        };
        let nearest_of = |requests| self.nearest_of(requests, record);
        let mut nearest: Vec<_> = match &record.receiver_user {
            // The user who downloads is the receiver.
            Some(receiver) if effect == Some(RequestEffect::Download) => {
                users.get(&**receiver).and_then(nearest_of).into_iter().collect()
            }
            _ => users.values().filter_map(nearest_of).collect(),
        };
        nearest.sort_by_key(|request| request.distance(record));
        nearest
    }

    /// Returns the nearest of a user's requests that can have caused an event.
    fn nearest_of(&self, requests: &UserRequests, record: &EventRecord) -> Option<&AuditedRequest> {
        let time = record.timestamp;
        let last = time.saturating_add(CLOCK_TOLERANCE);
        let fitting = |(_, place): &(OffsetDateTime, usize)| {
            #[cfg(test)]
            self.looks.set(self.looks.get() + 1);
            Some(&self.requests[*place]).filter(|request| request.fits(record))
        };
        let found = requests.iter().flat_map(|(class, starts)| {
            let first = time.saturating_sub(tolerance_after(record));
            let first = first.saturating_sub(longest_of_class(*class));
            let mut before = starts.range((first, 0)..=(time, usize::MAX)).rev();
            let mut after = starts.range((time, usize::MAX)..=(last, usize::MAX));
            before.find_map(fitting).into_iter().chain(after.find_map(fitting))
        });
        found.min_by_key(|request| request.distance(record))
    }

    /// Adds a request to the index, if it can be evidence.
    fn add_to_index(&mut self, place: usize) {
        let request = &self.requests[place];
        let Some((effect, user, class)) = request.index_key() else { return };
        let requests = self.users.entry(effect).or_default().entry(user.to_owned()).or_default();
        requests.entry(class).or_default().insert((request.start, place));
    }

    /// Removes a request from the index, before a change of the request.
    fn remove_from_index(&mut self, place: usize) {
        let request = &self.requests[place];
        let Some((effect, user, class)) = request.index_key() else { return };
        let requests = self.users.get_mut(&effect).and_then(|users| users.get_mut(user));
        if let Some(starts) = requests.and_then(|requests| requests.get_mut(&class)) {
            starts.remove(&(request.start, place));
        }
    }
}

impl AuditedRequest {
    fn new(record: &EventRecord, facts: AuditFacts) -> Self {
        Self {
            facts,
            start: record.timestamp,
            message_id: record.message_id,
            end: None,
            is_success: false,
        }
    }

    /// Returns the facts of the request.
    pub(crate) fn facts(&self) -> &AuditFacts {
        &self.facts
    }

    /// Takes the begin of the request from another audit event of it, if that is earlier.
    fn begin(&mut self, record: &EventRecord, facts: AuditFacts) {
        if (record.timestamp, record.message_id) < (self.start, self.message_id) {
            self.start = record.timestamp;
            self.message_id = record.message_id;
            self.facts = facts;
        }
    }

    /// Takes the outcome of a response, if no later one is known.
    fn end(&mut self, time: OffsetDateTime, is_success: bool) {
        if self.end.is_none_or(|end| end <= time) {
            self.end = Some(time);
            self.is_success = is_success;
        }
    }

    /// Returns the effect, the user and the class of the duration, if the request can be evidence.
    fn index_key(&self) -> Option<(RequestEffect, &str, u32)> {
        let end = self.end.filter(|_| self.is_success)?;
        let user = self.facts.user_id.as_deref()?;
        Some((self.facts.effect()?, user, class_of(end - self.start)))
    }

    /// Returns `true` if the request can have caused the event: by its method, its path and its time.
    fn fits(&self, record: &EventRecord) -> bool {
        let Some(end) = self.end else { return false };
        let end = end.saturating_add(tolerance_after(record));
        let start = self.start.saturating_sub(CLOCK_TOLERANCE);
        (start..=end).contains(&record.timestamp) && self.causes(&record.event_type)
    }

    /// Returns `true` if a request with this method and path emits such events.
    fn causes(&self, event_type: &EventType) -> bool {
        let (action, below) = (self.facts.action.as_str(), self.facts.path_below_image());
        if self.facts.effect() != RequestEffect::of_event(event_type) {
            return false;
        }
        match event_type {
            EventType::ImageUpdate => below != "members",
            EventType::ImagePrepare | EventType::ImageUpload | EventType::ImageActivate => {
                action != "delete" && !matches!(below, "members" | "tags")
            }
            other => match other.as_str().strip_prefix("image.member.") {
                Some(method) => below == "members" && action == method,
                // The effect of a deletion or a download is enough.
                None => true,
            },
        }
    }

    /// Returns the distance from an event in time. The start and the id decide between two requests of one distance.
    fn distance(&self, record: &EventRecord) -> (Duration, OffsetDateTime, Uuid) {
        ((record.timestamp - self.start).abs(), self.start, self.message_id)
    }
}

/// Returns the longest time between the response to a request and the event that it causes.
fn tolerance_after(record: &EventRecord) -> Duration {
    // Data flows after the response's headers, which is when keystonemiddleware writes the audit event.
    if record.event_type == EventType::ImageSend { LONGEST_DOWNLOAD } else { CLOCK_TOLERANCE }
}

/// Returns the class of a duration. Each class has durations up to twice as long as the one before.
fn class_of(duration: Duration) -> u32 {
    u64::BITS - duration.whole_seconds().max(0).unsigned_abs().leading_zeros()
}

/// Returns a time that is longer than each duration of a class.
fn longest_of_class(class: u32) -> Duration {
    Duration::seconds(1_i64 << class.min(62))
}

/// The event type of an audit event with an outcome.
const RESPONSE: &str = "audit.http.response";

/// The largest difference between the clocks of one host's programs that matching accepts.
const CLOCK_TOLERANCE: Duration = Duration::SECOND;

/// The longest time between the headers of a download and its notification that matching accepts.
const LONGEST_DOWNLOAD: Duration = Duration::HOUR;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::record_reader::RecordReader;

    const IMAGE: &str = "7290aba0-ea68-429f-a9ec-7df334e091e2";

    /// The record of an event at a second of a day.
    fn event(number: u32, event_type: &str, second: u32, payload: &str) -> EventRecord {
        let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let line = format!(
            r#"{{"message_id":"00000000-0000-4000-8000-{number:012x}","publisher_id":"image.h",
            "event_type":"{event_type}","priority":"INFO","timestamp":"2026-11-24 {clock}",
            "payload":{payload}}}"#
        );
        RecordReader::new("test").read(line.as_bytes()).unwrap()
    }

    /// The two audit events of a request that lasts from one second to another.
    fn request(number: u32, user: &str, kind: [&str; 2], seconds: [u32; 2]) -> [EventRecord; 2] {
        let [action, below] = kind;
        let one = |number: u32, event_type: &str, second: u32, outcome: &str| {
            let payload = format!(
                r#"{{"id":"{user}-{action}-{}","action":"{action}","outcome":"{outcome}",
                "requestPath":"/v2/images/{IMAGE}{below}","initiator":{{"id":"{user}"}}}}"#,
                seconds[0]
            );
            event(number, event_type, second, &payload)
        };
        let begin = one(2 * number, "audit.http.request", seconds[0], "pending");
        [begin, one(2 * number + 1, RESPONSE, seconds[1], "success")]
    }

    fn requests_of<'a>(records: impl IntoIterator<Item = &'a EventRecord>) -> ImageRequests {
        let mut requests = ImageRequests::default();
        for record in records {
            requests.add(record, AuditFacts::of(&record.body).unwrap());
        }
        requests
    }

    fn users<'a>(requests: &'a ImageRequests, record: &EventRecord) -> Vec<&'a str> {
        let nearest = requests.nearest(record);
        nearest.into_iter().filter_map(|request| request.facts.user_id.as_deref()).collect()
    }

    /// A search looks at the requests near the event, and not at thousands of others, whatever their effect is. A
    /// long request does not change that, and is found itself.
    #[test]
    fn a_search_looks_at_few_of_many_requests() {
        let mut records = Vec::new();
        for number in 0..3000 {
            let second = 10 * number;
            let kind = match number % 4 {
                0 => ["update", ""],
                1 => ["read", "/file"],
                2 => ["read", ""],
                _ => ["create", "/members"],
            };
            records.extend(request(number, "mallory", kind, [second, second + 1]));
        }
        records.extend(request(3000, "alice", ["update", "/file"], [3, 20_000]));
        records.extend(request(3001, "mallory", ["delete", ""], [15_003, 15_005]));
        let requests = requests_of(&records);
        let payload = format!(r#"{{"id":"{IMAGE}","image_id":"{IMAGE}"}}"#);
        for (event_type, second, expected) in [
            ("image.delete", 15_004, vec!["mallory"]),
            ("image.upload", 15_004, vec!["alice"]),
            ("image.update", 16_001, vec!["mallory", "alice"]),
            ("image.send", 20_011, vec!["mallory"]),
            ("image.delete", 16_001, vec![]),
        ] {
            requests.looks.set(0);
            let event = event(9999, event_type, second, &payload);
            assert_eq!(users(&requests, &event), expected, "{event_type} at {second}");
            let looks = requests.looks.get();
            assert!(looks < 10, "{looks} looks for {event_type} at {second}");
        }
    }

    /// The order of the audit events does not matter.
    #[test]
    fn a_response_may_come_before_its_request() {
        let mut records = request(1, "alice", ["delete", ""], [100, 200]);
        let deletion = event(9999, "image.delete", 110, &format!(r#"{{"id":"{IMAGE}"}}"#));
        assert_eq!(users(&requests_of(&records), &deletion), ["alice"]);
        records.reverse();
        assert_eq!(users(&requests_of(&records), &deletion), ["alice"]);
    }

    /// A class holds the durations below its longest one, from the shortest to the whole calendar.
    #[test]
    fn a_class_is_longer_than_its_durations() {
        for seconds in [0, 1, 2, 3, 4, 1023, 1024, 631_000_000_000] {
            let duration = Duration::seconds(seconds) + Duration::milliseconds(999);
            let longest = longest_of_class(class_of(duration));
            assert!(duration < longest, "{seconds}");
            assert!(longest <= duration + duration + Duration::SECOND, "{seconds}");
        }
    }
}
