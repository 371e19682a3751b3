//! The HTTP server of the metrics: `/metrics` and `/healthz`.
//!
//! It bounds connections and their time, and reads no body. It must not hold the service up.
//!
//! On loopback, it answers under `localhost` and addresses only: a web page elsewhere whose name leads to this machine
//! (DNS rebinding) must not read the names of the sources.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use glance_notify_cli::connection_list::ConnectionList;
use glance_notify_cli::request_host::is_address_or_localhost;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use notify_archive::service::ServiceMonitor;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::metrics::{metrics, problems};
use crate::exit_status::{CommandError, ExitStatus};

/// A server that listens and has not accepted a connection yet.
pub(super) struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// Returns an error that names the option if the address is in use or not one of this machine.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, CommandError> {
        let bound = TcpListener::bind(address).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| {
            let message = format!(
                "cannot listen on {address}: {error}: choose another address with `--metrics-listen`"
            );
            CommandError::new(ExitStatus::PermanentError, message)
        })?;
        Ok(Self { listener, address })
    }

    /// Returns the address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for as long as the future lives.
    pub(super) async fn run(self, monitor: ServiceMonitor) {
        let is_local = self.address.ip().is_loopback();
        let serve = move |stream, _| {
            let monitor = monitor.clone();
            async move {
                // A client that is slow or writes nonsense harms only itself.
                drop(timeout(LONGEST_CONNECTION, serve(stream, monitor, is_local)).await);
            }
        };
        ConnectionList::new(MOST_CONNECTIONS).accept(&self.listener, serve).await;
    }
}

/// Answers one request.
async fn serve(stream: TcpStream, monitor: ServiceMonitor, is_local: bool) -> hyper::Result<()> {
    let answer = service_fn(|request| {
        let response = answer(&request, &monitor, is_local);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection = http1::Builder::new();
    connection.keep_alive(false).max_buf_size(LONGEST_REQUEST);
    connection.serve_connection(TokioIo::new(stream), answer).await
}

/// Returns the response to a request. `is_local` says that only programs on this machine reach the server.
fn answer(
    request: &Request<Incoming>,
    monitor: &ServiceMonitor,
    is_local: bool,
) -> Response<Full<Bytes>> {
    let (status, content_type, text) = match (request.method(), request.uri().path()) {
        _ if is_local && !names_this_machine(request.headers()) => {
            (StatusCode::MISDIRECTED_REQUEST, PLAIN, UNKNOWN_HOST.to_owned())
        }
        (&Method::GET, "/metrics") => (StatusCode::OK, OPEN_METRICS, metrics(&monitor.status())),
        (&Method::GET, "/healthz") => {
            let problems = problems(&monitor.status());
            match problems.as_str() {
                "" => (StatusCode::OK, PLAIN, "ok\n".to_owned()),
                _ => (StatusCode::SERVICE_UNAVAILABLE, PLAIN, problems),
            }
        }
        _ => (StatusCode::NOT_FOUND, PLAIN, "GET /metrics or /healthz\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}

/// Returns `true` if a request names this machine, or no host at all: a browser always names one.
fn names_this_machine(headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().all(|host| {
        let host = host.to_str().ok().and_then(|host| host.parse::<Uri>().ok());
        host.as_ref().and_then(Uri::host).is_some_and(is_address_or_localhost)
    })
}

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 16;
/// The longest life of a connection.
const LONGEST_CONNECTION: Duration = Duration::from_secs(10);
/// The longest request in bytes.
const LONGEST_REQUEST: usize = 16 * 1024;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const UNKNOWN_HOST: &str = "this address answers under `localhost` and addresses only: ask for one of these, or choose \
                            another address with `--metrics-listen`\n";
