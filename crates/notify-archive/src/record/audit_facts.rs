//! The facts of an audit event: [`AuditFacts`].

use notify_core::EventType;
use notify_core::codec::parse_lossy;
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

/// The effect of a request that can cause an event of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestEffect {
    /// The deletion of the image.
    Deletion,
    /// A change of the image, its data, its tags or its members.
    Change,
    /// A download of the image's data.
    Download,
}

impl AuditFacts {
    /// Reads the facts from the body of a notification. Returns `None` if the payload is no CADF event.
    pub fn of(body: &[u8]) -> Option<Self> {
        let payload = parse_lossy::<AuditBody>(body)?.payload;
        let text = |text: Option<String>| text.filter(|text| !text.is_empty() && text != UNKNOWN);
        let initiator = payload.initiator.unwrap_or_default();
        Some(Self {
            id: text(payload.id),
            action: payload.action?,
            outcome: payload.outcome?,
            request_path: text(payload.request_path),
            request_id: text(initiator.request_id),
            user_id: text(initiator.id),
            user_name: text(initiator.name),
            project_id: text(initiator.project_id),
            address: initiator.host.and_then(|host| text(host.address)),
        })
    }

    /// Returns the effect of the request by its method and path, or `None` if it can cause no event of an image.
    ///
    /// A read of the image's record causes none: any user can send as many as they like.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_archive::record::{AuditFacts, RequestEffect};
    ///
    /// let mut facts = AuditFacts::default();
    /// facts.request_path = Some("/v2/images/7290aba0-ea68-429f-a9ec-7df334e091e2".to_owned());
    /// facts.action = "delete".to_owned();
    /// assert_eq!(facts.effect(), Some(RequestEffect::Deletion));
    /// facts.action = "read".to_owned();
    /// assert_eq!(facts.effect(), None);
    /// ```
    pub fn effect(&self) -> Option<RequestEffect> {
        let below = self.path_below_image();
        match self.action.as_str() {
            "delete" if below.is_empty() => Some(RequestEffect::Deletion),
            "create" | "update" | "delete" => Some(RequestEffect::Change),
            action if action.starts_with("read") => {
                let is_data = below == "file" || (below.is_empty() && self.path().contains("/v1/"));
                is_data.then_some(RequestEffect::Download)
            }
            _ => None,
        }
    }

    /// Returns `true` if the request failed and names its user.
    pub fn is_refused(&self) -> bool {
        self.outcome == "failure" && self.user_id.is_some()
    }

    /// Returns the path segment behind the image's id: `file`, `members`, `actions`, or nothing.
    pub(crate) fn path_below_image(&self) -> &str {
        let mut segments = self.path().split('/').skip_while(|segment| *segment != "images");
        segments.nth(2).unwrap_or_default()
    }

    /// Returns the path without its query.
    fn path(&self) -> &str {
        let path = self.request_path.as_deref().unwrap_or_default();
        path.split(['?', '#']).next().unwrap_or_default()
    }
}

impl RequestEffect {
    /// Returns the effect of the requests that cause an event, or `None` if no request names its image in the path.
    pub fn of_event(event_type: &EventType) -> Option<Self> {
        match event_type {
            EventType::ImageDelete => Some(Self::Deletion),
            EventType::ImageSend => Some(Self::Download),
            EventType::ImageUpdate
            | EventType::ImagePrepare
            | EventType::ImageUpload
            | EventType::ImageActivate => Some(Self::Change),
            other => other.as_str().starts_with("image.member.").then_some(Self::Change),
        }
    }
}

/// The body of a notification with a CADF event.
#[derive(Deserialize)]
struct AuditBody {
    payload: AuditPayload,
}

/// The parts of a CADF event that reading needs.
#[derive(Deserialize)]
struct AuditPayload {
    id: Option<String>,
    action: Option<String>,
    outcome: Option<String>,
    #[serde(rename = "requestPath")]
    request_path: Option<String>,
    initiator: Option<AuditInitiator>,
}

/// The initiator of a CADF event.
#[derive(Default, Deserialize)]
struct AuditInitiator {
    id: Option<String>,
    name: Option<String>,
    project_id: Option<String>,
    request_id: Option<String>,
    host: Option<AuditHost>,
}

/// The host of an initiator.
#[derive(Deserialize)]
struct AuditHost {
    address: Option<String>,
}

/// The value that keystonemiddleware writes for a request without a valid token.
const UNKNOWN: &str = "unknown";
