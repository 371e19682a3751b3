//! Stores each notification in an outbox table until it is delivered, crash-safe, with `SQLite`.
//!
//! ```sh
//! alias outbox='cargo run -p glance-notify --example outbox --'
//! outbox /tmp/images.db /tmp/notifications.log 71c675ab-d94f-49cd-a114-e12490b328d9
//! ```
//!
//! One transaction deletes the image and stores the notification, so either both happen or neither.
//! The notification leaves the table after it was delivered. Kill the program in between and start it
//! again without an id: it sends what the table holds, with the same `message_id`.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::event::DeletedImage;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Notification, Notifier, Payload};
use rusqlite::Connection;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (database, file, id) = match args.as_slice() {
        [database, file] => (database, file, None),
        [database, file, id] => (database, file, Some(id.parse()?)),
        _ => return Err("usage: outbox DATABASE FILE [IMAGE_ID]".into()),
    };
    // SQLite calls block this thread. The example `service` moves them to threads that may block.
    let mut store = Connection::open(database)?;
    store.execute_batch(
        "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY);
         CREATE TABLE IF NOT EXISTS outbox (position INTEGER PRIMARY KEY, notification BLOB);",
    )?;

    let config = Layers::new().set("strategy=log")?.set(&format!("log.file={file}"))?.build()?;
    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());

    if let Some(id) = id {
        delete_image(&mut store, &notifier, id)?;
        println!("deleted {id}");
    }
    send_outbox(&store, &notifier).await?;

    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    Ok(())
}

/// Deletes an image and stores the notification about it, in one transaction.
fn delete_image(
    store: &mut Connection,
    notifier: &Notifier,
    id: Uuid,
) -> Result<(), Box<dyn Error>> {
    // `stamp` adds the message id, the publisher id and the time. `encode` redacts.
    let notification = notifier.stamp(Event::ImageDelete(Payload::Info(DeletedImage::Id(id))));
    let message = notification.encode(notifier.encoding())?;
    let transaction = store.transaction()?;
    transaction.execute("DELETE FROM images WHERE id = ?1", [id.to_string()])?;
    transaction.execute("INSERT INTO outbox (notification) VALUES (?1)", [message.body()])?;
    transaction.commit()?;
    Ok(())
}

/// Delivers every stored notification, oldest first, and removes each one after its delivery.
///
/// After a crash between delivery and removal, the next call delivers the notification again. It has
/// the same `message_id`, so consumers can discard the duplicate.
async fn send_outbox(store: &Connection, notifier: &Notifier) -> Result<(), Box<dyn Error>> {
    let mut query = store.prepare("SELECT position, notification FROM outbox ORDER BY position")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()? {
        let (position, json) = row;
        let notification = Notification::decode(&json)?;
        notifier.resend(&notification).await.await?;
        store.execute("DELETE FROM outbox WHERE position = ?1", [position])?;
        println!("delivered {}", notification.message_id);
    }
    Ok(())
}
