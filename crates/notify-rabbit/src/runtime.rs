//! The runtime that lapin runs in: tokio, on this crate's sockets, without any log events.
//!
//! lapin abstracts over runtimes by the traits of the crate `async-rs`. Implementing them here gives
//! this crate control over sockets, which notify-net opens, and over log events.
//!
//! lapin logs bodies and the password at TRACE. A library must not depend on the log filter of its host
//! program, so this module discards all of lapin's events. The crate logs the facts that an operator
//! needs itself.

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

/// An adapter of the current tokio runtime for lapin: it runs tasks without log events and opens no
/// sockets.
#[derive(Clone, Debug)]
pub(crate) struct SilentRuntime(Tokio);

impl SilentRuntime {
    /// Returns the current runtime.
    ///
    /// # Panics
    ///
    /// Outside the context of a tokio runtime.
    pub(crate) fn current() -> Self {
        Self(Tokio::current())
    }
}

/// Runs `future`, which calls lapin, without log events.
///
/// It also discards events of this crate, so log outside of `future`.
pub(crate) fn silently<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_subscriber(Dispatch::none())
}

/// Discards the log events of the current thread until it ends. lapin's own thread calls it.
pub(crate) fn silence_current_thread() {
    thread_local! {
        static SILENCE: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }
    let guard = tracing::dispatcher::set_default(&Dispatch::none());
    SILENCE.with_borrow_mut(|silence| *silence = Some(guard));
}

impl RuntimeKit for SilentRuntime {}

impl Executor for SilentRuntime {
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

/// lapin uses only the timers: `connection.rs` hands it a connected stream.
impl Reactor for SilentRuntime {
    type TcpStream = Wire;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// Fails: lapin must not register a socket of its own.
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

    /// Fails: lapin must not connect by itself.
    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
