//! The HTTP server of the pages: [`HttpServer`], with bounds for clients that are slow, many or malicious.
//!
//! | bound | beyond it |
//! |---|---|
//! | 256 connections | the one that has waited longest for its client is closed for the new one |
//! | 16 KiB and 64 headers for the head of a request | status 431 |
//! | 10 s to send the head, also between two requests | the connection is closed |
//! | a minute for a connection | it ends after the query that runs, and 10 s for the response |
//!
//! It reads no body of a request.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower_service::Service as _;

use crate::connection_list::{ConnectionActivity, ConnectionList};

/// A server that listens and has not accepted a connection yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// Returns an error if the address is in use or not one of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    /// Returns the address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for as long as the future lives.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, its connections end with it.
    pub async fn run(self, pages: Router) {
        let serve = move |stream, activity| serve(stream, pages.clone(), activity);
        ConnectionList::new(MOST_CONNECTIONS).accept(&self.listener, serve).await;
    }
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, pages: Router, activity: Arc<ConnectionActivity>) {
    let shared = Arc::clone(&activity);
    let answer = service_fn(move |request: Request<Incoming>| {
        let (mut pages, activity) = (pages.clone(), Arc::clone(&shared));
        async move {
            activity.set(None);
            let response: Result<Response<Body>, Infallible> =
                pages.call(request.map(Body::new)).await;
            activity.set(Some(Instant::now()));
            response
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD_TIME)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LONGEST_HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    // The error of a client that disconnects or writes nonsense is its own.
    if let Err(_elapsed) = timeout(LONGEST_CONNECTION, connection.as_mut()).await {
        connection.as_mut().graceful_shutdown();
        // A query ends by itself, and `--deadline` may be longer than a connection.
        while timeout(LONGEST_END, connection.as_mut()).await.is_err() {
            if activity.waits_since().is_some_and(|since| since.elapsed() >= LONGEST_END) {
                break;
            }
        }
    }
}

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 256;
/// The most bytes of a request's head.
const LONGEST_HEAD: usize = 16 * 1024;
/// The most headers of a request.
const MOST_HEADERS: usize = 64;
/// The longest time until a request's head is complete.
const LONGEST_HEAD_TIME: Duration = Duration::from_secs(10);
/// The longest time in which a connection may begin a request.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);
/// The longest time for the last response of a connection.
const LONGEST_END: Duration = Duration::from_secs(10);
