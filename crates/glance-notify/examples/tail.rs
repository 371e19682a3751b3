//! Follows a log file and prints a line for each notification, once: the checkpoint keeps the position.
//!
//! ```sh
//! cargo run -p glance-notify --features listen --example tail -- /var/log/glance/notifications.log /tmp/position
//! ```
//!
//! With `--end`, the program stops at the end of the file.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use glance_notify::listen::{DeadLetters, FileSource, FileSourceConfig, Listener};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let usage = "usage: tail FILE CHECKPOINT [--end]";
    let file = args.next().ok_or(usage)?;
    let checkpoint = PathBuf::from(args.next().ok_or(usage)?);

    let dead_letters = DeadLetters::file(checkpoint.with_extension("dead"));
    let mut config = FileSourceConfig::new(file);
    config.checkpoint = Some(checkpoint);
    config.follow = args.next().is_none();

    // The listener reads ahead, retries failures, and starts again after an error of the disk.
    let mut listener = Listener::builder(FileSource::new(config), dead_letters).start()?;
    while let Some(batch) = listener.next_batch(500, Duration::from_millis(200)).await? {
        for notification in batch.notifications() {
            let (time, event_type) = (notification.timestamp, notification.event_type());
            println!("{time} {} {event_type}", notification.priority().as_str());
        }
        // A consumer commits its work here. Then, and only then, it acknowledges the batch.
        batch.ack().await?;
    }

    let counts = listener.close(Duration::from_secs(10)).await.total;
    println!("{} received, {} acknowledged", counts.received, counts.acked);
    Ok(())
}
