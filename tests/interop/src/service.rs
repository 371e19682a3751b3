//! A small image service on axum: the example that `docs/authors.md` explains.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{BoxError, Router};
use glance_notify::event::{DeletedImage, ImageSend, Priority};
use glance_notify::pipeline::Stats;
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Image, ImageStatus, Notification, Notifier, Payload};
use http_body::{Frame, SizeHint};
use rusqlite::Connection;
use tokio::task::JoinHandle;

/// What every request needs. The notifier is in it, for it is cheap to clone and never blocks.
#[derive(Clone, Debug)]
pub struct App {
    notifier: Notifier,
    store: Arc<Mutex<Connection>>,
}

impl App {
    /// A service with an empty store.
    ///
    /// # Errors
    ///
    /// When the database cannot be made.
    pub fn new(notifier: Notifier, store: Connection) -> rusqlite::Result<Self> {
        store.execute_batch(
            "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, name TEXT, data BLOB);
             CREATE TABLE IF NOT EXISTS outbox (place INTEGER PRIMARY KEY, notification BLOB);",
        )?;
        Ok(Self { notifier, store: Arc::new(Mutex::new(store)) })
    }

    /// Runs `work` on the store, on a thread that may block.
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

/// The routes of the service.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/images", post(create))
        .route("/images/{id}", get(download).put(upload).delete(delete))
        .with_state(app)
}

/// Serves until `stop` resolves; then waits until the worker has delivered what is pending, or its
/// time to drain is over.
///
/// # Errors
///
/// When nothing can be accepted any more.
pub async fn serve(
    listener: tokio::net::TcpListener,
    app: App,
    worker: JoinHandle<Stats>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(app)).with_graceful_shutdown(stop).await?;
    // A response may still be ending, with a notification to come. The worker ends once the last
    // clone of the notifier is gone, whoever had it.
    if let Ok(Ok(stats)) = tokio::time::timeout(Duration::from_secs(30), worker).await {
        tracing::info!("{} of {} notifications were delivered", stats.delivered, stats.emitted);
    } else {
        tracing::warn!("somebody still holds the notifier");
    }
    Ok(())
}

async fn create(State(app): State<App>, name: String) -> Result<String, StatusCode> {
    let mut image = Image::new(Uuid::new_v4(), ImageStatus::Queued, OffsetDateTime::now_utc());
    image.name = Some(name.clone());
    let id = image.id.to_string();
    let row = (id.clone(), name);
    app.with_store(move |store| store.execute("INSERT INTO images VALUES (?1, ?2, NULL)", row))
        .await?;
    app.notifier.emit(&Event::ImageCreate(image.into()));
    Ok(id)
}

async fn upload(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    body: Body,
) -> Result<(), StatusCode> {
    let mut image = Image::new(id, ImageStatus::Saving, OffsetDateTime::now_utc());
    app.notifier.emit(&Event::ImagePrepare(image.clone().into()));
    let data = match axum::body::to_bytes(body, 64 * 1024 * 1024).await {
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

async fn download(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Body, StatusCode> {
    let data: Option<Vec<u8>> = app
        .with_store(move |store| {
            let query = "SELECT data FROM images WHERE id = ?1";
            store.query_row(query, [id.to_string()], |row| row.get(0))
        })
        .await?;
    let data = Bytes::from(data.ok_or(StatusCode::NOT_FOUND)?);
    let pieces: Vec<_> = (0..data.len())
        .step_by(PIECE)
        .map(|start| Ok::<_, BoxError>(data.slice(start..data.len().min(start + PIECE))))
        .collect();
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    Ok(Body::new(Sent::new(body, app.notifier, id)))
}

/// How much is sent at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A response body that tells how much of an image was sent, once that is certain: at its end, or
/// when it is dropped before, because the client left.
struct Sent {
    body: Body,
    notifier: Notifier,
    facts: ImageSend,
    told: bool,
}

impl Sent {
    fn new(body: Body, notifier: Notifier, id: Uuid) -> Self {
        Self { body, notifier, facts: ImageSend::new(id, 0), told: false }
    }

    fn tell(&mut self, priority: Priority) {
        if !std::mem::replace(&mut self.told, true) {
            self.notifier.emit(&Event::ImageSend(priority, self.facts.clone()));
        }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.facts.bytes_sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.tell(Priority::Info);
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

impl Drop for Sent {
    fn drop(&mut self) {
        self.tell(Priority::Error);
    }
}

/// Deletes an image and notes the notification in one transaction: it is sent if, and only if, the
/// image is gone.
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

/// Sends what the outbox holds, oldest first, and forgets what was delivered. To be called after a
/// change, at start, and now and then.
///
/// A notification keeps its id however often it is sent: consumers drop duplicates by it.
///
/// # Errors
///
/// When the store cannot be read, or a notification was not delivered; it stays in the outbox.
pub async fn send_outbox(app: &App) -> Result<usize, StatusCode> {
    let rows: Vec<(i64, Vec<u8>)> = app
        .with_store(|store| {
            let mut query =
                store.prepare("SELECT place, notification FROM outbox ORDER BY place")?;
            query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await?;
    let mut sent = 0;
    for (place, json) in rows {
        let notification =
            Notification::from_json(&json).or(Err(StatusCode::INTERNAL_SERVER_ERROR))?;
        let receipt = app.notifier.resend(&notification).await;
        receipt.await.or(Err(StatusCode::SERVICE_UNAVAILABLE))?;
        app.with_store(move |store| store.execute("DELETE FROM outbox WHERE place = ?1", [place]))
            .await?;
        sent += 1;
    }
    Ok(sent)
}
