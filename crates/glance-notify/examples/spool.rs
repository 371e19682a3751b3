//! Keeps notifications in a spool on the local disk until RabbitMQ accepts them.
//!
//! Start it without a broker, kill it, start the broker, and start it again:
//!
//! ```sh
//! alias spool='cargo run -p glance-notify --features rabbit,spool --example spool --'
//! spool /tmp/spool amqp://guest:guest@localhost 5   # prints "stored: 5"; end it with kill -9
//! spool /tmp/spool amqp://guest:guest@localhost 0   # prints "forwarded: 5"; end it with Ctrl-C
//! ```

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::event::DeletedImage;
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Payload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, url, count] = args.as_slice() else {
        return Err("usage: spool DIR URL COUNT".into());
    };
    let config = Layers::new()
        .set("strategy=rabbit")?
        .set(&format!("rabbit.url={url}"))?
        .set(&format!("spool.dir={dir}"))?
        .build()?;
    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());

    // With a spool, delivered means stored: `send` returns once the notification is on the disk.
    for number in 1..=count.parse()? {
        let image = DeletedImage::Id(Uuid::from_u128(number));
        notifier.send(&Event::ImageDelete(Payload::Info(image))).await?;
    }
    println!("stored: {count}");

    // Meanwhile the worker forwards from the disk to the broker, and begins with the messages of the
    // last run. It retries until the broker accepts, for days if necessary. Each stage has its own
    // account.
    let mut forwarded = 0;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        for (name, stats) in notifier.stages() {
            if name == "rabbit" && stats.delivered != forwarded {
                forwarded = stats.delivered;
                println!("forwarded: {forwarded}");
            }
        }
        tokio::select! {
            interrupted = &mut interrupt => break interrupted?,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }

    // Whatever is still in the spool stays there for the next run.
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    Ok(())
}
