//! The HTTP server of the metrics: `/metrics` and `/healthz`.
//!
//! It bounds connections and their time, and reads no body. It must not hold the service up.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use notify_archive::service::ServiceMonitor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

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
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // The process has no file descriptor left.
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            let monitor = monitor.clone();
            tokio::spawn(async move {
                // A client that is slow or writes nonsense harms only itself.
                drop(timeout(LONGEST_CONNECTION, serve(stream, monitor)).await);
                drop(permit);
            });
        }
    }
}

/// Answers one request.
async fn serve(stream: TcpStream, monitor: ServiceMonitor) -> hyper::Result<()> {
    let answer = service_fn(|request| {
        let response = answer(&request, &monitor);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection = http1::Builder::new();
    connection.keep_alive(false).max_buf_size(LONGEST_REQUEST);
    connection.serve_connection(TokioIo::new(stream), answer).await
}

/// Returns the response to a request.
fn answer(request: &Request<Incoming>, monitor: &ServiceMonitor) -> Response<Full<Bytes>> {
    let (status, content_type, text) = match (request.method(), request.uri().path()) {
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

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 16;
/// The longest life of a connection.
const LONGEST_CONNECTION: Duration = Duration::from_secs(10);
/// The longest request in bytes.
const LONGEST_REQUEST: usize = 16 * 1024;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
