//! Delivers to RabbitMQ with publisher confirms, and prints the outcome of each notification.
//!
//! ```sh
//! cargo run -p glance-notify --features rabbit,tls --example rabbit -- amqp://guest:guest@localhost
//! ```
//!
//! The queues are `notifications.info`, `notifications.warn` and `notifications.error`. To keep the
//! password out of the process list, put it into the environment variable
//! `GLANCE_NOTIFY__RABBIT__PASSWORD` instead of the URL.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::event::{DeletedImage, ImageSend, Priority};
use glance_notify::time::OffsetDateTime;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Image, ImageStatus, Outcome, Payload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: rabbit URL")?;
    let config = Layers::new()
        .set("strategy=rabbit")?
        .set(&format!("rabbit.url={url}"))?
        .environment()?
        .build()?;
    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());

    let id: Uuid = "71c675ab-d94f-49cd-a114-e12490b328d9".parse()?;
    let image = Image::new(id, ImageStatus::Queued, OffsetDateTime::now_utc());
    let events = [
        Event::ImageCreate(image.into()),
        Event::ImageUpload(Payload::Warn("the upload took longer than an hour".into())),
        Event::ImageSend(Priority::Error, ImageSend::new(id, 65_536)),
        Event::ImageDelete(Payload::Info(DeletedImage::Id(id))),
    ];

    // `send` waits for room in the queue, then for the outcome. `emit` all events first and await
    // their receipts afterwards where you have many: the worker then sends them in one batch.
    for event in &events {
        let name = event.event_type();
        match notifier.send(event).await {
            // The broker confirmed the message, and routed it to at least one queue.
            Ok(()) => println!("{name}: delivered"),
            Err(error) => match error.outcome() {
                // The broker will never accept this message.
                Outcome::Rejected => println!("{name}: rejected: {error:#}"),
                // The worker gave up. The message may have arrived if the connection broke.
                outcome => println!("{name}: {outcome:?}: {error:#}"),
            },
        }
    }

    let stats = notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    println!("{} emitted, {} delivered", stats.emitted, stats.delivered);
    Ok(())
}
