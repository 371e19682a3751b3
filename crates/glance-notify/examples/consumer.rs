//! Stores the notifications of a `RabbitMQ` broker in `SQLite`, each once, through a durable tap.
//!
//! ```sh
//! cargo run -p glance-notify --features listen,rabbit --example consumer -- \
//!     amqp://guest:guest@localhost/%2F audit /tmp/notifications.db
//! ```
//!
//! Kill the program at any moment and start it again: the broker keeps what comes meanwhile, and nothing
//! is lost. It acknowledges a batch after its commit, so a batch can come twice; the `message_id` tells.
//! Ctrl-C ends it in order.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use glance_notify::listen::{
    DeadLetters, DeliveryBatch, Listener, RabbitSource, RabbitSourceConfig, SourceQueue,
};
use glance_notify::transport::rabbit::QueueType;
use rusqlite::Connection;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, name, database] = args.as_slice() else {
        return Err("usage: consumer URL TAP DATABASE".into());
    };
    let mut store = Connection::open(database)?;
    store.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS notifications (message_id TEXT PRIMARY KEY, body BLOB);",
    )?;

    let mut config = RabbitSourceConfig::from_url(url)?;
    config.queue = SourceQueue::Durable { name: name.clone(), queue_type: QueueType::Classic };
    let dead_letters = DeadLetters::file(Path::new(database).with_extension("dead"));
    // The listener reconnects for as long as it lives.
    let mut listener = Listener::builder(RabbitSource::new(config)?, dead_letters).start()?;
    let mut interrupt = Box::pin(tokio::signal::ctrl_c());
    loop {
        let batch = tokio::select! {
            batch = listener.next_batch(500, Duration::from_millis(200)) => batch?,
            _ = &mut interrupt => break,
        };
        let Some(batch) = batch else { break };
        commit(&mut store, &batch)?;
        // The commit is on the disk. Then, and only then:
        batch.ack().await?;
        let count: i64 =
            store.query_row("SELECT count(*) FROM notifications", [], |row| row.get(0))?;
        println!("{count} stored");
    }
    let counts = listener.close(Duration::from_secs(10)).await.total;
    println!("{} received, {} acknowledged", counts.received, counts.acked);
    Ok(())
}

/// Stores a batch in one transaction. A notification that is stored already stays as it is.
fn commit(store: &mut Connection, batch: &DeliveryBatch) -> rusqlite::Result<()> {
    let transaction = store.transaction()?;
    for message in batch.messages() {
        transaction.execute(
            "INSERT OR IGNORE INTO notifications VALUES (?1, ?2)",
            (message.id().to_string(), message.body()),
        )?;
    }
    transaction.commit()
}
