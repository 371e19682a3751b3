//! The events that the example `service` emits, and when. `docs/authors.md` explains that program.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../../../crates/glance-notify/examples/service.rs"]
#[expect(dead_code, reason = "these tests call the parts of the program and not its `main`")]
pub mod service;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use glance_notify::event::{EventType, NotificationPayload, Priority};
use glance_notify::testing::{Recorder, recorder};
use glance_notify::{Event, Notification, Notifier};
use http_body_util::BodyExt;
use notify_conformance::script::Script;
use rusqlite::Connection;
use service::{App, router, send_outbox, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

/// Creates a service that emits to a recorder.
fn recorded_service() -> (App, Recorder) {
    let (notifier, recorder) = recorder();
    (App::new(notifier, Connection::open_in_memory().unwrap()).unwrap(), recorder)
}

/// Sends a request to the service, and returns the response.
async fn call(app: &App, method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = router(app.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

/// Returns the type and the priority of every event since the last call.
fn emitted(recorder: &Recorder) -> Vec<(EventType, Priority)> {
    let event = |payload: &NotificationPayload| (payload.event_type().clone(), payload.priority());
    recorder.take().iter().map(|notification| event(&notification.payload)).collect()
}

/// Create, upload and download emit their events in order.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_emits_its_events() {
    let (app, recorder) = recorded_service();
    let (_, id) = call(&app, "POST", "/images", "debian").await;
    let path = format!("/images/{}", String::from_utf8(id).unwrap());
    call(&app, "PUT", &path, vec![7; 200_000]).await;
    let (status, data) = call(&app, "GET", &path, "").await;
    assert_eq!((status, data.len()), (StatusCode::OK, 200_000));
    assert_eq!(
        emitted(&recorder),
        [
            EventType::ImageCreate,
            EventType::ImagePrepare,
            EventType::ImageUpload,
            EventType::ImageActivate,
            EventType::ImageSend
        ]
        .map(|event_type| (event_type, Priority::Info))
    );
}

/// A request for the head of an image sends no data, so it emits nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_emits_nothing() {
    let (app, recorder) = recorded_service();
    let (_, id) = call(&app, "POST", "/images", "debian").await;
    let path = format!("/images/{}", String::from_utf8(id).unwrap());
    assert_eq!(call(&app, "HEAD", &path, "").await.0, StatusCode::NOT_FOUND);
    call(&app, "PUT", &path, vec![7; 200_000]).await;
    emitted(&recorder);
    assert_eq!(call(&app, "HEAD", &path, "").await.0, StatusCode::OK);
    assert_eq!(emitted(&recorder), []);
}

/// An image that is created after its client has gone is reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_hides_no_image() {
    static WAITS: AtomicBool = AtomicBool::new(false);
    fn wait(_: i32) -> bool {
        WAITS.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(1));
        true
    }
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("images.db");
    let (notifier, recorder) = recorder();
    let store = Connection::open(&database).unwrap();
    store.busy_handler(Some(wait)).unwrap();
    let app = App::new(notifier, store).unwrap();
    let other = Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request = tokio::spawn(async move { call(&app, "POST", "/images", "debian").await });
    // The request waits for the other connection, and its handler is dropped, as a server does.
    while !WAITS.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    other.execute_batch("COMMIT").unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let events = emitted(&recorder);
            if !events.is_empty() {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(waited.await.unwrap(), [(EventType::ImageCreate, Priority::Info)]);
}

/// A name that may not fit the notification's permit creates no image.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_name_creates_no_image() {
    let (app, recorder) = recorded_service();
    let (status, _) = call(&app, "POST", "/images", "x".repeat(256)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(emitted(&recorder), []);
}

/// A client that disconnects during its upload leaves an event of priority error.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_upload_emits_an_error() {
    let (app, recorder) = recorded_service();
    let broken = futures_util::stream::iter([Ok("data"), Err(std::io::Error::other("reset"))]);
    let path = "/images/c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
    let (status, _) = call(&app, "PUT", path, Body::from_stream(broken)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        emitted(&recorder),
        [(EventType::ImagePrepare, Priority::Info), (EventType::ImageUpload, Priority::Error)]
    );
}

/// Over a real connection: a client disconnects during its download, and the shutdown drains.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_download_emits_an_error_before_the_service_ends() {
    let script = Script::default();
    let (notifier, worker) = Notifier::builder(script.transport()).build().unwrap();
    let worker = tokio::spawn(worker.run());
    let app = App::new(notifier, Connection::open_in_memory().unwrap()).unwrap();
    let (_, id) = call(&app, "POST", "/images", "debian").await;
    let path = format!("/images/{}", String::from_utf8(id).unwrap());
    let size = 40_000_000;
    call(&app, "PUT", &path, vec![7; size]).await;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, app, worker, async { drop(stopped.await) }));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .await
        .unwrap();
    client.read_exact(&mut vec![0; 100_000]).await.unwrap();
    drop(client);
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), server).await.unwrap().unwrap().unwrap();

    let taken = script.stored();
    assert_eq!(taken.len(), 5);
    let last = Notification::decode(taken[4].body()).unwrap();
    let Event::ImageSend(Priority::Error, facts) = last.payload.to_event().unwrap() else {
        panic!("{last:?}")
    };
    assert!((100_000..size as u64).contains(&facts.bytes_sent), "{}", facts.bytes_sent);
}

/// A notification that was not delivered stays in the outbox for the next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_keeps_an_undelivered_notification() {
    let (app, recorder) = recorded_service();
    let path = "/images/c80a1a6c-bd1f-41c5-90ee-81afedb1d58d";
    recorder.refuse_next(1);
    call(&app, "DELETE", path, "").await;
    assert!(send_outbox(&app).await.is_err());
    assert_eq!(emitted(&recorder), []);
    assert_eq!(send_outbox(&app).await, Ok(1));
    assert_eq!(emitted(&recorder), [(EventType::ImageDelete, Priority::Info)]);
    assert_eq!(send_outbox(&app).await, Ok(0));
}
