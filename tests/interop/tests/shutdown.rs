//! Shutdown with a full queue while a broker accepts connections and never answers.

use std::net::TcpListener;
use std::time::Duration;

use glance_notify::pipeline::WorkerState;
use glance_notify::{Config, Event, Outcome, Payload};

/// Shutdown ends within its timeout, and the counters account for every notification.
#[tokio::test(flavor = "multi_thread")]
async fn shutdown_is_bounded_while_a_silent_broker_holds_a_full_queue() {
    for strategy in ["rabbit", "qpid"] {
        // The operating system accepts the connections; no program reads from them.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let config: Config = format!(
            "strategy = '{strategy}'\n{strategy}.url = 'amqp://guest:guest@127.0.0.1:{port}'\n\
             queue.max_messages = 100"
        )
        .parse()
        .unwrap();
        let (notifier, worker) = glance_notify::start(&config).unwrap();
        let event = Event::ImageUpload(Payload::Error("storage is full".into()));
        let receipts: Vec<_> = (0..150).map(|_| notifier.emit(&event)).collect();
        let worker = tokio::spawn(worker.run());

        let shutdown = notifier.shutdown(Duration::from_millis(500));
        let stats = tokio::time::timeout(Duration::from_secs(30), shutdown).await.unwrap();
        assert_eq!((stats.emitted, stats.delivered), (150, 0), "{strategy}");
        assert_eq!((stats.dropped.overflow, stats.dropped.abandoned), (50, 100), "{strategy}");
        assert_eq!((stats.pending.messages, stats.state), (0, WorkerState::Closed), "{strategy}");
        for receipt in receipts {
            assert_ne!(receipt.await.unwrap_err().outcome(), Outcome::Rejected, "{strategy}");
        }
        tokio::time::timeout(Duration::from_secs(30), worker).await.unwrap().unwrap();
    }
}
