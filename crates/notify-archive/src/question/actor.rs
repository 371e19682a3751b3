//! The actor of an event: [`AuditTrail`] finds the audited request that caused it.
//!
//! Glance does not send who acted. This module therefore accepts two kinds of evidence only: an audit event
//! of keystonemiddleware and the context of a notification. It never looks at the owner of an image.
//!
//! A context is the word of its sender: oslo.log's prefix, or headers that any program with access to the broker can
//! write. A record does not tell these apart, so an answer says of both that the sender named the actor.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::audited_request::ImageRequests;
use crate::record::audit_facts::AuditFacts;
use crate::record::event_record::EventRecord;

/// The audited requests about images.
///
/// # Examples
///
/// ```
/// use notify_archive::question::{ActorFinding, AuditTrail};
/// use notify_archive::record::RecordReader;
///
/// let line = br#"{"message_id":"6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11","publisher_id":"image.host1",
///     "event_type":"image.delete","priority":"INFO","timestamp":"2026-11-24 12:00:00.123456",
///     "payload":{"id":"c80a1a6c-bd1f-41c5-90ee-81afedb1d58d","owner":"web"}}"#;
/// let record = RecordReader::new("file").read(line).unwrap();
/// // No audit event: the actor is not known. The owner is not the actor.
/// assert!(matches!(AuditTrail::default().actor_of(&record), ActorFinding::Unknown(_)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AuditTrail {
    images: HashMap<Arc<str>, ImageRequests>,
}

/// The user that caused an event, as the evidence shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Actor {
    /// The id of the user.
    pub user_id: String,
    /// The name of the user. Only audit events have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The id of the project in which the user acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The network address of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The evidence.
    pub evidence: ActorEvidence,
}

/// The evidence for an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorEvidence {
    /// A successful request in an audit event, matched by image, method and time.
    AuditEvent,
    /// The context of the notification, without an audit event: the prefix of its log line, or what its sender
    /// attached. A hint and no proof.
    Sender,
}

/// The result of the search for an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorFinding {
    /// The evidence names one user.
    Known(Actor),
    /// The actor is not known, for this reason.
    Unknown(&'static str),
}

impl AuditTrail {
    /// Takes the request of an audit event. Ignores other events, and requests without an image's id.
    ///
    /// It takes records in any order, and keeps no request that can cause no event.
    pub fn add(&mut self, record: &EventRecord) {
        if record.is_audit()
            && let Some(facts) = AuditFacts::of(&record.body)
        {
            self.add_request(record, facts);
        }
    }

    /// Takes the request of an audit event with these facts.
    pub(crate) fn add_request(&mut self, record: &EventRecord, facts: AuditFacts) {
        let Some(subject) = record.subject.as_ref().filter(|_| facts.effect().is_some()) else {
            return;
        };
        self.images.entry(Arc::clone(subject)).or_default().add(record, facts);
    }

    /// Returns the actor of an event, if the evidence names exactly one.
    ///
    /// The actor of an audit event is its own initiator.
    pub fn actor_of(&self, record: &EventRecord) -> ActorFinding {
        if record.is_audit() {
            let facts = AuditFacts::of(&record.body).unwrap_or_default();
            return actor_in(facts).map_or(ActorFinding::Unknown(NO_TOKEN), ActorFinding::Known);
        }
        let named = record.context.user().map(|user| Actor {
            user_id: user.to_owned(),
            user_name: None,
            project_id: record.context.project().map(str::to_owned),
            address: None,
            request_id: record.context.request_id().map(str::to_owned),
            evidence: ActorEvidence::Sender,
        });
        let audited = self.audited_actors(record);
        match (audited.as_slice(), named) {
            ([], None) => ActorFinding::NO_EVIDENCE,
            ([], Some(named)) => ActorFinding::Known(named),
            ([first, rest @ ..], named) => {
                let same = |actor: &Actor| actor.user_id == first.user_id;
                if rest.iter().all(same) && named.as_ref().is_none_or(same) {
                    ActorFinding::Known(first.clone())
                } else {
                    ActorFinding::Unknown(AMBIGUOUS)
                }
            }
        }
    }

    /// Returns the initiators of the successful requests that can have caused an event: each user once, and the
    /// nearest in time first.
    fn audited_actors(&self, record: &EventRecord) -> Vec<Actor> {
        let requests = record.subject.as_ref().and_then(|subject| self.images.get(subject));
        let nearest = requests.map(|requests| requests.nearest(record)).unwrap_or_default();
        nearest.into_iter().filter_map(|request| actor_in(request.facts().clone())).collect()
    }
}

impl ActorFinding {
    /// The result for an event without any evidence.
    pub const NO_EVIDENCE: Self =
        Self::Unknown("no audit event and no sender names a user for this event");

    /// Returns the actor, if it is known.
    pub fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Known(actor) => Some(actor),
            Self::Unknown(_) => None,
        }
    }
}

/// Shows the evidence in words.
impl fmt::Display for ActorEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuditEvent => "audit event",
            Self::Sender => "named by the sender",
        })
    }
}

/// Shows the name or the id of the user, or `unknown`.
impl fmt::Display for ActorFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(actor) => f.write_str(actor.user_name.as_deref().unwrap_or(&actor.user_id)),
            Self::Unknown(_) => f.write_str("unknown"),
        }
    }
}

/// Returns the initiator of an audit event, if it has an id.
fn actor_in(facts: AuditFacts) -> Option<Actor> {
    Some(Actor {
        user_id: facts.user_id?,
        user_name: facts.user_name,
        project_id: facts.project_id,
        address: facts.address,
        request_id: facts.request_id,
        evidence: ActorEvidence::AuditEvent,
    })
}

const AMBIGUOUS: &str = "the evidence names different users";
const NO_TOKEN: &str = "the request had no valid token";
