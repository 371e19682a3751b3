//! Filtering a large file; reading a full queue of RabbitMQ with acknowledgements, and the memory for large
//! messages.

use anyhow::{Context, Result};
use glance_notify::codec::serde_json::json;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};

use super::BenchRun;
use super::rabbitmq::{purge_queues, rabbit_config};
use crate::candidate::Candidate;
use crate::candidates::reading::QUEUE;
use crate::comparison::{compare, try_compare};
use crate::results::CandidateResults;
use crate::table::{ResultRow, RowGoal};
use crate::task::{BenchTask, Measurement};

impl BenchRun {
    pub(super) fn reading(&mut self) -> Result<()> {
        self.filtering()?;
        let broker = RabbitMq::start();
        let vhost = broker.root();
        let task =
            BenchTask { port: broker.port(), burst: 500, window: 1_000, ..self.task(MESSAGES) };
        let fill = Candidate::rust(
            "filling",
            "deliver",
            BenchTask { config: rabbit_config(broker.port()), ..self.task(MESSAGES * 2) },
        );
        // The strategy declares the exchange.
        fill.prepare()?;
        declare(&vhost);
        let candidates = [
            Candidate::rust("listener on RabbitMQ", "read-listener", task.clone()),
            Candidate::rust("lapin, parsed by serde_json", "read-lapin-parsed", task.clone()),
            Candidate::rust("lapin, bodies unseen", "read-lapin-bare", task.clone()),
            Candidate::oslo_listener(
                "oslo.messaging's listener",
                BenchTask { config: QUEUE.into(), messages: 3_000, ..task },
            ),
        ];
        let title = "reading from RabbitMQ with acknowledgements";
        let results = try_compare(self.rounds, title, &candidates, || {
            purge_queues(&broker);
            fill.prepare().context("cannot fill the queue")
        })?;
        let rates: Vec<_> =
            results.iter().map(|results| results.per_round(Measurement::rate)).collect();
        let row = |name, peer: usize, goal| {
            ResultRow::with_peer(name, "msg/s", &rates[0], &rates[peer], goal)
        };
        self.rows.extend([
            row("listener / lapin, parsed by serde_json", 1, RowGoal::RatioAtLeast(0.9)),
            row("listener / lapin, bodies unseen", 2, RowGoal::None),
            row("listener / oslo.messaging's listener", 3, RowGoal::RatioAtLeast(10.0)),
        ]);
        self.large_messages(&broker)
    }

    /// Measures the time to find the events of one image in a gigabyte of lines.
    fn filtering(&mut self) -> Result<()> {
        let task = self.task(LINES);
        let candidates = [
            Candidate::rust("glance-notify listen", "filter-listen", task.clone()),
            Candidate::rust("grep -F | jq", "filter-grep-jq", task),
        ];
        // The first run writes the file.
        candidates[1].prepare()?;
        let results = self.compare("filtering a gigabyte of lines", &candidates, || {})?;
        let seconds = |results: &CandidateResults| results.per_round(|measured| measured.seconds);
        self.rows.push(ResultRow::with_peer(
            "filtering a gigabyte of lines / grep -F | jq -c .",
            "s",
            &seconds(&results[0]),
            &seconds(&results[1]),
            RowGoal::RatioAtMost(2.0),
        ));
        Ok(())
    }

    /// Measures the memory of a listener that holds as many messages of 16 MiB as it may.
    fn large_messages(&mut self, broker: &RabbitMq) -> Result<()> {
        let vhost = broker.root();
        let body = json!({
            "message_id": "00000000-0000-0000-0000-000000000001", "publisher_id": "image.host1",
            "event_type": "image.create", "priority": "INFO", "payload": "x".repeat((16 << 20) - 1_000),
            "timestamp": "2026-11-22 12:00:00.000000",
        })
        .to_string();
        let task = BenchTask {
            port: broker.port(),
            burst: LARGE_PREFETCH,
            window: LARGE_PREFETCH,
            ..self.task(LARGE_PREFETCH * 2)
        };
        let candidates = [
            Candidate::rust(
                "16 MiB each, as docs/ops sets up a service",
                "read-large",
                task.clone(),
            )
            .variable("MALLOC_MMAP_THRESHOLD_", "131072"),
            Candidate::rust("16 MiB each", "read-large", task),
        ];
        let results = compare(self.rounds.min(3), "large messages", &candidates, || {
            purge_queues(broker);
            for _ in 0..LARGE_PREFETCH * 3 {
                vhost.publish("", QUEUE, &json!({}), body.as_bytes());
            }
        })?;
        let bound = (LARGE_PREFETCH << 24) as f64;
        let share = |at: usize| results[at].per_round(|measurement| measurement.peak / bound);
        let row = |name, at, goal| ResultRow::alone(name, "", &share(at), goal);
        self.rows.extend([
            row("peak memory of a service / (prefetch x 16 MiB)", 0, RowGoal::OursAtMost(1.25)),
            row("peak memory, glibc's own settings / (prefetch x 16 MiB)", 1, RowGoal::None),
        ]);
        Ok(())
    }
}

/// Declares the queue that all candidates read, as a listener of oslo.messaging declares its pool.
fn declare(vhost: &Vhost<'_>) {
    vhost.declare_queue(QUEUE, &json!({ "durable": true }));
    for priority in ["info", "warn", "error"] {
        vhost.bind(QUEUE, "glance", &format!("notifications.{priority}"));
    }
}

/// The number of lines in a gigabyte.
const LINES: usize = 1_900_000;
/// The number of messages that each candidate reads.
const MESSAGES: usize = 20_000;
/// The prefetch for large messages.
const LARGE_PREFETCH: usize = 16;
