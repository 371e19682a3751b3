//! The HTTP client of the management API.
//!
//! It only sends GET, follows no redirect, and bounds the time and the size of every answer. The connection is
//! that of AMQP: the same attempts at every address, and the same TLS, which always verifies the certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glance_notify::codec::serde_json::{self, Value};
use glance_notify::time::{Duration as SignedDuration, OffsetDateTime};
use glance_notify::transport::printable;
use glance_notify::{Error, ErrorKind, Result};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use notify_net::{BrokerStream, Dialer, PeerInfo, ShutdownGuard};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::api_location::ApiLocation;

/// A client of one management API.
pub(super) struct ApiClient<'a> {
    location: &'a ApiLocation,
    dialer: Dialer<'a>,
    authorization: HeaderValue,
    session: Option<ApiSession>,
    /// The clock of the API's host minus that of this host, at the first answer that has the time.
    pub(super) clock_difference: Option<SignedDuration>,
}

/// An open connection to the API.
struct ApiSession {
    requests: SendRequest<Empty<Bytes>>,
    peer: PeerInfo,
    /// Ends the connection, and with it the task that drives it.
    _guard: ShutdownGuard,
}

impl<'a> ApiClient<'a> {
    /// Reads the password and the files for TLS, without connecting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] if a file is unreadable.
    pub(super) async fn new(location: &'a ApiLocation) -> Result<Self> {
        let password = location.endpoint.read_password().await?;
        let login = STANDARD.encode(format!("{}:{}", location.user(), password.expose()));
        let mut authorization = HeaderValue::try_from(format!("Basic {login}"))
            .map_err(|_| Error::new(ErrorKind::Bug, "base64 fits into a header"))?;
        authorization.set_sensitive(true);
        let dialer = Dialer::new(&location.endpoint).await?;
        Ok(Self { location, dialer, authorization, session: None, clock_difference: None })
    }

    /// Returns the host that answers, if there is a connection.
    pub(super) fn peer(&self) -> Option<&PeerInfo> {
        self.session.as_ref().map(|session| &session.peer)
    }

    /// Reads the object at `path` below `/api/`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] if the API refuses the login or this request, [`ErrorKind::Unavailable`] if it
    /// does not answer, and [`ErrorKind::Config`] if what answers is no management API.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<Option<T>> {
        let target = format!("{}/api/{path}", self.location.path_prefix);
        let limit = self.location.endpoint.connect_timeout;
        let (response, body) =
            timeout(limit, self.exchange(&target)).await.unwrap_or_else(|_| {
                let message = format!("no answer to {} in time", printable(&target, MAX_TARGET));
                Err(Error::new(ErrorKind::Unavailable, message))
            })?;
        if self.clock_difference.is_none() {
            self.clock_difference = clock_difference(&response);
        }
        self.read_answer(&target, &response, &body)
    }

    /// Sends a request, over the open connection if it still stands, and reads the answer.
    async fn exchange(&mut self, target: &str) -> Result<(Response<()>, Bytes)> {
        let open = match self.session.take() {
            Some(mut session) => session.requests.ready().await.is_ok().then_some(session),
            None => None,
        };
        let mut session = match open {
            Some(session) => session,
            None => self.dialer.open(ApiSession::start).await?,
        };
        let request = Request::get(target)
            .header(HOST, session.peer.host.to_string())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.authorization.clone())
            .body(Empty::new())
            .map_err(|_| Error::new(ErrorKind::Config, "the path of the URL is no path of HTTP"))?;
        let response = session.requests.send_request(request).await.map_err(http_error)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let mebibytes = LONGEST_ANSWER >> 20;
                let message = format!(
                    "the answer to {} has more than {mebibytes} MiB",
                    printable(target, MAX_TARGET)
                );
                return Error::new(ErrorKind::Config, message);
            }
            error.downcast().map_or_else(
                |_| Error::new(ErrorKind::Unavailable, "the answer ended too early"),
                |error| http_error(*error),
            )
        })?;
        self.session = Some(session);
        Ok((Response::from_parts(head, ()), body.to_bytes()))
    }

    /// Returns the object in an answer.
    fn read_answer<T: DeserializeOwned>(
        &self,
        target: &str,
        response: &Response<()>,
        body: &[u8],
    ) -> Result<Option<T>> {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = printable(target, MAX_TARGET);
        let no_api = |what: String| {
            let message = format!(
                "{target} answers with {what}: no management API is there; correct its URL, or enable the \
                 plug-in `rabbitmq_management`"
            );
            Err(Error::new(ErrorKind::Config, message))
        };
        match response.status() {
            StatusCode::OK if content_type.starts_with("application/json") => {
                // The texts of the other errors repeat parts of the answer.
                match serde_json::from_slice(body) {
                    Ok(answer) => Ok(Some(answer)),
                    Err(error) => no_api(format!("unusable JSON at column {}", error.column())),
                }
            }
            StatusCode::OK => no_api(format!("`{}`", printable(content_type, 64))),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.access_error(body)),
            status if status.is_redirection() => {
                no_api(format!("a redirection ({}), which is not followed", status.as_u16()))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let message = format!("{target} answers with status {}", status.as_u16());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            status => no_api(format!("status {}", status.as_u16())),
        }
    }

    /// Explains why the API refuses a request.
    fn access_error(&self, body: &[u8]) -> Error {
        let user = printable(self.location.user(), 255);
        let reason: Value = serde_json::from_slice(body).unwrap_or_default();
        let lacks_a_tag =
            reason["reason"].as_str().is_some_and(|reason| reason.starts_with("Not "));
        let message = if lacks_a_tag {
            format!(
                "permission denied: the user `{user}` lacks a tag: `rabbitmqctl set_user_tags '{user}' \
                 monitoring`, or name another user in `management_url`"
            )
        } else {
            format!(
                "authentication failed for user `{user}`: correct the user and the password of the source, \
                 or in `management_url`"
            )
        };
        Error::new(ErrorKind::Access, message)
    }
}

impl ApiSession {
    /// Begins to speak HTTP over a stream.
    async fn start(stream: BrokerStream, guard: ShutdownGuard) -> Result<Self> {
        let peer = stream.peer().clone();
        let mut client = http1::Builder::new();
        let handshake = client.max_buf_size(LONGEST_HEAD).handshake(TokioIo::new(stream));
        let (requests, connection) = handshake.await.map_err(http_error)?;
        // It ends with the guard. A failure reaches the request.
        tokio::spawn(async { drop(connection.await) });
        Ok(Self { requests, peer, _guard: guard })
    }
}

/// Returns the clock of the answering host minus that of this host.
///
/// The answer has whole seconds, so the difference is up to one second too small.
fn clock_difference(response: &Response<()>) -> Option<SignedDuration> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(date).ok()?;
    Some(OffsetDateTime::from(date) - OffsetDateTime::now_utc())
}

/// Explains a failure of the connection or of the protocol.
fn http_error(error: hyper::Error) -> Error {
    let (kind, message) = if error.is_parse() || error.is_parse_too_large() {
        (
            ErrorKind::Config,
            "what answers does not speak HTTP: is it the port of the management API?",
        )
    } else {
        (ErrorKind::Unavailable, "the connection to the management API ended")
    };
    Error::new(kind, message).with_source(error)
}

/// The longest answer in bytes. The bindings of 50 000 queues are shorter.
const LONGEST_ANSWER: usize = 8 << 20;
/// The longest head of an answer in bytes.
const LONGEST_HEAD: usize = 64 << 10;
/// The longest path that an error shows, in characters.
const MAX_TARGET: usize = 200;
