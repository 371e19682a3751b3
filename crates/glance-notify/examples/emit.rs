//! Emits three events to a log file, and shows when to wait for a receipt.
//!
//! ```sh
//! cargo run -p glance-notify --example emit -- /tmp/notifications.log
//! ```

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::time::OffsetDateTime;
use glance_notify::{Event, Image, ImageStatus, Payload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: emit FILE")?;

    // A service calls `Config::load("/etc/glance/notify.toml")`. Here, two settings are enough.
    let config = Layers::new().set("strategy=log")?.set(&format!("log.file={file}"))?.build()?;

    // The notifier queues notifications; the worker delivers them.
    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());

    // `emit` never blocks. You may drop the receipt: the worker delivers the notification anyway.
    let id = "71c675ab-d94f-49cd-a114-e12490b328d9".parse()?;
    let mut image = Image::new(id, ImageStatus::Queued, OffsetDateTime::now_utc());
    image.name = Some("debian-12".into());
    notifier.emit(&Event::ImageCreate(image.clone().into()));

    // Await the receipt where your program depends on delivery. For a file, `Ok` means that the line
    // is on the disk.
    image.status = ImageStatus::Active;
    image.size = Some(2_361_393_152);
    let receipt = notifier.emit(&Event::ImageActivate(image.into()));
    match receipt.await {
        Ok(()) => println!("image.activate is on the disk"),
        Err(error) => println!("image.activate was not delivered: {error:#}"),
    }

    // A failure is an event as well: a text in place of the facts, with priority `error`. Credentials
    // in texts and URLs are redacted before anything leaves the process.
    let text = "cannot store the image: swift://glance:s3cret@storage/images is read-only";
    notifier.emit(&Event::ImageUpload(Payload::Error(text.into())));

    // Drain the queue. The account explains every notification that was not delivered: `refused` or
    // `dropped`, with the reason.
    let stats = notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    println!("{} emitted, {} delivered to {file}", stats.emitted, stats.delivered);
    Ok(())
}
