//! The facts of an audit event: [`AuditFacts`].

use std::borrow::Cow;

use serde::Deserialize;

/// The facts of an audit event of keystonemiddleware, in the format CADF.
///
/// keystonemiddleware emits `audit.http.request` before a request and `audit.http.response` after it. Both
/// have the same id. Only the response has an outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditFacts {
    /// The id of the CADF event, the same for request and response.
    pub id: Option<String>,
    /// The action: `create`, `read`, `read/list`, `update`, `delete`.
    pub action: String,
    /// The outcome: `pending`, `success`, `failure`.
    pub outcome: String,
    /// The path of the request, with its query.
    pub request_path: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The id of the user that made the request.
    pub user_id: Option<String>,
    /// The name of that user.
    pub user_name: Option<String>,
    /// The id of the project in which the user made the request.
    pub project_id: Option<String>,
    /// The network address from which the request came.
    pub address: Option<String>,
}

impl AuditFacts {
    /// Reads the facts from the body of a notification. Returns `None` if the payload is no CADF event.
    pub fn of(body: &[u8]) -> Option<Self> {
        let payload = serde_json::from_slice::<AuditBody<'_>>(body).ok()?.payload;
        let text = |text: Option<Cow<'_, str>>| {
            text.map(Cow::into_owned).filter(|text| !text.is_empty() && text != UNKNOWN)
        };
        let initiator = payload.initiator.unwrap_or_default();
        Some(Self {
            id: text(payload.id),
            action: payload.action?.into_owned(),
            outcome: payload.outcome?.into_owned(),
            request_path: text(payload.request_path),
            request_id: text(initiator.request_id),
            user_id: text(initiator.id),
            user_name: text(initiator.name),
            project_id: text(initiator.project_id),
            address: initiator.host.and_then(|host| text(host.address)),
        })
    }
}

/// The body of a notification with a CADF event.
#[derive(Deserialize)]
struct AuditBody<'a> {
    #[serde(borrow)]
    payload: AuditPayload<'a>,
}

/// The parts of a CADF event that reading needs.
#[derive(Deserialize)]
struct AuditPayload<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "requestPath")]
    request_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    initiator: Option<AuditInitiator<'a>>,
}

/// The initiator of a CADF event.
#[derive(Default, Deserialize)]
struct AuditInitiator<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    project_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    host: Option<AuditHost<'a>>,
}

/// The host of an initiator.
#[derive(Deserialize)]
struct AuditHost<'a> {
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
}

/// The value that keystonemiddleware writes for a request without a valid token.
const UNKNOWN: &str = "unknown";
