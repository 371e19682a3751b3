//! A small image service on axum that emits notifications on create, upload, download and delete.
//!
//! ```sh
//! cargo run -p glance-notify --features full --example service -- 127.0.0.1:9292 notify.toml images.db
//! curl -X POST --data debian-12 http://127.0.0.1:9292/images       # prints the image's id
//! curl -T debian-12.qcow2 http://127.0.0.1:9292/images/ID
//! curl -X DELETE http://127.0.0.1:9292/images/ID
//! ```
//!
//! On Ctrl-C or SIGTERM it finishes open requests, delivers the pending notifications, and ends.
//! `docs/authors.md` explains the parts of this program.

#![expect(clippy::print_stdout, reason = "the program shows where it listens")]

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{self, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{BoxError, Router};
use glance_notify::codec::Context;
use glance_notify::event::{DeletedImage, ImageSend, Priority};
use glance_notify::pipeline::Stats;
use glance_notify::time::OffsetDateTime;
use glance_notify::{Config, Event, Image, ImageStatus, Notification, Notifier, Payload};
use http_body::{Frame, SizeHint};
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use uuid::Uuid; // with the feature `v4`

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, config, database] = args.as_slice() else {
        return Err("usage: service ADDRESS CONFIG DATABASE".into());
    };
    let (notifier, worker) = glance_notify::start(&Config::load(config)?)?;
    let worker = tokio::spawn(worker.run());
    let app = App::new(notifier, Connection::open(database)?)?;
    let outbox = tokio::spawn(send_outbox_repeatedly(app.clone()));

    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        // This task holds a clone of the notifier, which would keep the worker running.
        outbox.abort();
    };
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stats = serve(listener, app, worker, stop).await?;
    println!("{} emitted, {} delivered", stats.emitted, stats.delivered);
    Ok(())
}

/// The state that all handlers share.
#[derive(Clone, Debug)]
pub struct App {
    notifier: Notifier,
    store: Arc<Mutex<Connection>>,
}

impl App {
    /// Creates the tables that `store` lacks.
    ///
    /// # Errors
    ///
    /// Fails if the database is read-only or damaged.
    pub fn new(notifier: Notifier, store: Connection) -> rusqlite::Result<Self> {
        store.execute_batch(
            "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, name TEXT, data BLOB);
             CREATE TABLE IF NOT EXISTS outbox (position INTEGER PRIMARY KEY, notification BLOB);",
        )?;
        Ok(Self { notifier, store: Arc::new(Mutex::new(store)) })
    }

    /// Runs `work` on the store, in a thread that may block.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StatusCode> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Returns the routes of the service.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/images", post(create))
        .route("/images/{id}", get(download).head(exists).put(upload).delete(delete))
        .with_state(app)
}

/// Serves until `stop` resolves, waits until the worker has drained the queue, and returns the
/// account.
///
/// # Errors
///
/// Fails if the listener fails, or if the worker does not end because another task still holds the
/// notifier.
pub async fn serve(
    listener: TcpListener,
    app: App,
    worker: JoinHandle<Stats>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Stats, Box<dyn Error + Send + Sync>> {
    axum::serve(listener, router(app)).with_graceful_shutdown(stop).await?;
    // The last response may still be ending, and emit once more. The worker ends after the last clone
    // of the notifier is dropped.
    Ok(tokio::time::timeout(Duration::from_secs(30), worker).await??)
}

/// Creates an image with the request's body as its name, and returns its id.
async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    name: String,
) -> Result<String, StatusCode> {
    if name.len() > MAX_NAME_BYTES {
        return Err(StatusCode::BAD_REQUEST);
    }
    let context = request_context(&headers);
    let mut image = Image::new(Uuid::new_v4(), ImageStatus::Queued, OffsetDateTime::now_utc());
    image.name = Some(name.clone());
    let id = image.id.to_string();
    let row = (id.clone(), name);
    let permit = app.notifier.reserve(16 * 1024).await.or(Err(StatusCode::SERVICE_UNAVAILABLE))?;
    let event = Event::ImageCreate(image.into());
    app.with_store(move |store| {
        store.execute("INSERT INTO images VALUES (?1, ?2, NULL)", row)?;
        drop(permit.emit_with(&event, &context)); // here, because the client may be gone
        Ok(())
    })
    .await?;
    Ok(id)
}

/// Returns the trace and the id of a request.
fn request_context(headers: &HeaderMap) -> Context {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    Context::builder()
        .traceparent(header("traceparent"))
        .request_id(header("x-openstack-request-id"))
        .build_valid() // `build` reports what is not valid; this leaves it out
}

/// Stores the data of an image. Emits an error if the client disconnects early.
async fn upload(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    body: Body,
) -> Result<(), StatusCode> {
    let mut image = Image::new(id, ImageStatus::Saving, OffsetDateTime::now_utc());
    app.notifier.emit(&Event::ImagePrepare(image.clone().into()));
    let data = match axum::body::to_bytes(body, MAX_IMAGE_BYTES).await {
        Ok(data) => data,
        Err(error) => {
            let text = format!("Failed to upload image data for image {id}: {error}");
            app.notifier.emit(&Event::ImageUpload(Payload::Error(text)));
            return Err(StatusCode::BAD_REQUEST);
        }
    };
    image.size = Some(data.len() as u64);
    image.status = ImageStatus::Active;
    let row = (id.to_string(), data.to_vec());
    app.with_store(move |store| store.execute("UPDATE images SET data = ?2 WHERE id = ?1", row))
        .await?;
    app.notifier.emit(&Event::ImageUpload(image.clone().into()));
    app.notifier.emit(&Event::ImageActivate(image.into()));
    Ok(())
}

/// Answers `HEAD`, which sends no data.
async fn exists(State(app): State<App>, Path(id): Path<Uuid>) -> Result<(), StatusCode> {
    let query = "SELECT count(data) FROM images WHERE id = ?1";
    let count: u64 = app
        .with_store(move |store| store.query_row(query, [id.to_string()], |row| row.get(0)))
        .await?;
    if count == 0 { Err(StatusCode::NOT_FOUND) } else { Ok(()) }
}

/// Sends the data of an image, and counts the bytes.
async fn download(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Body, StatusCode> {
    let data: Option<Vec<u8>> = app
        .with_store(move |store| {
            let query = "SELECT data FROM images WHERE id = ?1";
            store.query_row(query, [id.to_string()], |row| row.get(0))
        })
        .await?;
    let data = Bytes::from(data.ok_or(StatusCode::NOT_FOUND)?);
    let chunks: Vec<_> = (0..data.len())
        .step_by(CHUNK_BYTES)
        .map(|start| Ok::<_, BoxError>(data.slice(start..data.len().min(start + CHUNK_BYTES))))
        .collect();
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    Ok(Body::new(ImageBody::new(body, app.notifier, id)))
}

/// A response body that counts its bytes, and emits `image.send` once.
///
/// It emits at the end, or when axum drops it earlier because the client disconnected.
struct ImageBody {
    body: Body,
    notifier: Notifier,
    facts: ImageSend,
    emitted: bool,
}

impl ImageBody {
    /// Wraps the body of the image `id`.
    fn new(body: Body, notifier: Notifier, id: Uuid) -> Self {
        Self { body, notifier, facts: ImageSend::new(id, 0), emitted: false }
    }

    /// Emits `image.send`, unless that has happened before.
    fn emit_once(&mut self, priority: Priority) {
        if !std::mem::replace(&mut self.emitted, true) {
            self.notifier.emit(&Event::ImageSend(priority, self.facts.clone()));
        }
    }
}

impl http_body::Body for ImageBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.facts.bytes_sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.emit_once(Priority::Info);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ImageBody {
    fn drop(&mut self) {
        self.emit_once(Priority::Error);
    }
}

/// Deletes an image and stores its notification in the same transaction, so that consumers learn of
/// every deletion and of nothing else.
async fn delete(State(app): State<App>, Path(id): Path<Uuid>) -> Result<(), StatusCode> {
    let deleted = Event::ImageDelete(Payload::Info(DeletedImage::Id(id)));
    let notification = app.notifier.stamp(deleted);
    let message =
        notification.encode(app.notifier.encoding()).or(Err(StatusCode::INTERNAL_SERVER_ERROR))?;
    app.with_store(move |store| {
        let transaction = store.transaction()?;
        transaction.execute("DELETE FROM images WHERE id = ?1", [id.to_string()])?;
        transaction.execute("INSERT INTO outbox (notification) VALUES (?1)", [message.body()])?;
        transaction.commit()
    })
    .await
}

/// Sends the outbox at startup and then every second. A failed attempt leaves the rest for the next.
async fn send_outbox_repeatedly(app: App) {
    loop {
        if let Err(status) = send_outbox(&app).await {
            tracing::warn!("cannot send the outbox now: {status}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Delivers the notifications in the outbox, oldest first, removes each one after its delivery, and
/// returns their number.
///
/// A notification keeps its id, so consumers can discard the duplicate that a crash between delivery
/// and removal causes.
///
/// # Errors
///
/// Fails if the store cannot be read or a notification was not delivered. It stays in the outbox.
pub async fn send_outbox(app: &App) -> Result<usize, StatusCode> {
    let rows: Vec<(i64, Vec<u8>)> = app
        .with_store(|store| {
            let mut query =
                store.prepare("SELECT position, notification FROM outbox ORDER BY position")?;
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await?;
    let mut sent = 0;
    for (position, json) in rows {
        let notification =
            Notification::decode(&json).or(Err(StatusCode::INTERNAL_SERVER_ERROR))?;
        let receipt = app.notifier.resend(&notification).await;
        receipt.await.or(Err(StatusCode::SERVICE_UNAVAILABLE))?;
        let remove = "DELETE FROM outbox WHERE position = ?1";
        app.with_store(move |store| store.execute(remove, [position])).await?;
        sent += 1;
    }
    Ok(sent)
}

/// The longest name of an image, in bytes. A notification with such a name fits its permit.
const MAX_NAME_BYTES: usize = 255;
/// The largest image that the service accepts, in bytes.
const MAX_IMAGE_BYTES: usize = 64 * 1024 * 1024;
/// The size of the pieces in which it sends an image, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
