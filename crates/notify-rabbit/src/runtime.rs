//! The runtime that lapin runs in: tokio, on sockets of ours, without a word in the log.
//!
//! lapin logs returned messages with their bodies at WARN, and the password at TRACE; a library must
//! not depend on how its host filters. What the operator needs to know, this crate says itself.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use tracing::dispatcher::{DefaultGuard, Dispatch};
use tracing::instrument::WithSubscriber;

use crate::wire::Wire;

/// The current tokio runtime, as lapin is shown it.
#[derive(Clone, Debug)]
pub(crate) struct Quiet(Tokio);

impl Quiet {
    /// Needs the context of a tokio runtime.
    pub(crate) fn current() -> Self {
        Self(Tokio::current())
    }
}

/// Runs what calls lapin from our own tasks.
pub(crate) fn quietly<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_subscriber(Dispatch::none())
}

/// Silences the thread that calls it until the thread ends: lapin's own.
pub(crate) fn silence_this_thread() {
    thread_local! {
        static SILENCE: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    let guard = tracing::dispatcher::set_default(&Dispatch::none());
    SILENCE.with_borrow_mut(|silence| *silence = Some(guard));
}

impl RuntimeKit for Quiet {}

impl Executor for Quiet {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future.with_subscriber(Dispatch::none()))
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        run: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(run)
    }
}

/// lapin uses only the timer of this: it is handed its stream by `connection.rs`.
impl Reactor for Quiet {
    type TcpStream = Wire;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Wire, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
