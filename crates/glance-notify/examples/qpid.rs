//! Checks a broker that speaks AMQP 1.0, and delivers to it.
//!
//! ```sh
//! cargo run -p glance-notify --features qpid,tls --example qpid -- amqp://localhost:5672
//! ```
//!
//! Works with Apache Qpid's brokers, ActiveMQ, RabbitMQ and others. `docs/brokers.md` lists
//! the settings for each, which you can set in the environment: `GLANCE_NOTIFY__QPID__NODE=topic`.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::error::Error;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::event::{Task, TaskStatus};
use glance_notify::time::OffsetDateTime;
use glance_notify::transport::{FindingState, open};
use glance_notify::uuid::Uuid;
use glance_notify::{Event, Payload};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: qpid URL")?;
    let config = Layers::new()
        .set("strategy=qpid")?
        .set(&format!("qpid.url={url}"))?
        .environment()?
        .build()?;

    // A transport can look at its destination without sending anything. `glance-notify check` does
    // the same.
    let mut transport = open(&config)?;
    for finding in transport.check().await? {
        match finding.state {
            FindingState::Good(text) => println!("{}: {text}", finding.subject),
            FindingState::Warning(text) => println!("{}: warning: {text}", finding.subject),
            FindingState::Bad(error) => println!("{}: {error:#}", finding.subject),
        }
    }
    transport.close().await?;

    let (notifier, worker) = glance_notify::start(&config)?;
    let worker = tokio::spawn(worker.run());
    let id: Uuid = "9c7d1a3e-3b3c-4c5e-8f55-6ac0a1f5b0a7".parse()?;
    let task = Task::new(id, "import", TaskStatus::Pending, OffsetDateTime::now_utc());

    // Emit first and await afterwards: the worker sends both in one batch.
    let receipts = [
        notifier.emit(&Event::TaskRun(task.into())),
        notifier.emit(&Event::TaskFailure(Payload::Error("the source is unreachable".into()))),
    ];
    for receipt in receipts {
        match receipt.await {
            // The broker's disposition was `accepted`.
            Ok(()) => println!("delivered"),
            Err(error) => println!("{:?}: {error:#}", error.outcome()),
        }
    }

    let stats = notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    println!("{} emitted, {} delivered", stats.emitted, stats.delivered);
    Ok(())
}
