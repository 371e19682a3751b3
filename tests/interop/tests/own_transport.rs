//! The example `own_transport` keeps the contract of a transport: it passes the conformance suite.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../../../crates/glance-notify/examples/own_transport.rs"]
#[expect(dead_code, reason = "these tests use the transport and not the program's `main`")]
pub mod own_transport;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use glance_notify::Notification;
use glance_notify::transport::{Transport, async_trait};
use notify_conformance::{Capability, Harness, ReceivedMessage, samples};
use own_transport::SocketTransport;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

notify_conformance::suite!(SocketServer);

/// A server that speaks the protocol of the example, on a socket of its own.
struct SocketServer {
    /// Holds the socket.
    _dir: TempDir,
    path: PathBuf,
    store: Arc<MessageStore>,
    /// `None` while the server is killed.
    task: Option<JoinHandle<()>>,
}

/// The accepted messages, and the behaviour of the server.
#[derive(Default)]
struct MessageStore {
    accepted: Mutex<Vec<Vec<u8>>>,
    open_connections: AtomicUsize,
    declines: AtomicBool,
    /// Whether the server reads and never answers.
    stalls: watch::Sender<bool>,
}

#[async_trait]
impl Harness for SocketServer {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Metadata, "a line is the body and nothing beside it"),
        (Capability::FullLane, "a socket is one lane"),
        (Capability::SilentLane, "a socket is one lane"),
    ];

    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.sock");
        let mut server = Self { _dir: dir, path, store: Arc::default(), task: None };
        server.restart().await;
        server
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(SocketTransport::new(&self.path))
    }

    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let accepted = self.store.accepted.lock().unwrap();
        accepted.iter().map(|body| ReceivedMessage { body: body.clone(), metadata: None }).collect()
    }

    async fn open_handles(&mut self) -> usize {
        self.store.open_connections.load(Ordering::SeqCst)
    }

    async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Wait until the task has dropped the listener and all connections.
            drop(task.await);
            fs::remove_file(&self.path).unwrap();
        }
    }

    async fn restart(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.store))));
    }

    async fn stall(&mut self) {
        self.store.stalls.send_replace(true);
    }

    async fn resume(&mut self) {
        self.store.stalls.send_replace(false);
    }

    async fn refused_notification(&mut self) -> Notification {
        let mut notification = samples::notification(0);
        notification.publisher_id = REFUSED.into();
        notification
    }

    async fn start_declining(&mut self) {
        self.store.declines.store(true, Ordering::SeqCst);
    }

    async fn stop_declining(&mut self) {
        self.store.declines.store(false, Ordering::SeqCst);
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Accepts connections until the task is aborted, which closes them all.
async fn serve(listener: UnixListener, store: Arc<MessageStore>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(answer(connection, PeerConnection::new(Arc::clone(&store))));
    }
}

/// Answers every line of one client.
async fn answer(mut connection: UnixStream, open: PeerConnection) {
    let store = &open.0;
    let (reader, mut writer) = connection.split();
    let mut lines = BufReader::new(reader).lines();
    let mut stalls = store.stalls.subscribe();
    while let Ok(Some(line)) = lines.next_line().await {
        drop(stalls.wait_for(|stalls| !stalls).await);
        let answer = if store.declines.load(Ordering::SeqCst) {
            "busy\n"
        } else if line.contains(REFUSED) {
            "no\n"
        } else {
            store.accepted.lock().unwrap().push(line.into_bytes());
            "ok\n"
        };
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Counts one open connection until it is dropped.
struct PeerConnection(Arc<MessageStore>);

impl PeerConnection {
    fn new(store: Arc<MessageStore>) -> Self {
        store.open_connections.fetch_add(1, Ordering::SeqCst);
        Self(store)
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The publisher that the server rejects.
const REFUSED: &str = "refused.example";
